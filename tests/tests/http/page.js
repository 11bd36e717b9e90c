// Asks `b` what the suite says, and hands over what a page sees: bytes in hexadecimal digits.
const [cases, done] = arguments;
const bytes = digits => Uint8Array.from(digits.match(/../g) ?? [], byte => parseInt(byte, 16));
const digits = bytes => Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');

function body({ pieces, streams }) {
    if (!streams) return pieces.length ? bytes(pieces[0]) : undefined;
    return new ReadableStream({
        start(controller) {
            pieces.forEach(piece => controller.enqueue(bytes(piece)));
            controller.close();
        },
    });
}

async function ask({ method, path, fields, ...sent }) {
    const response = await peerage.fetch(`peer://b${path}`, { method, headers: fields, body: body(sent) });
    const read = await response.arrayBuffer();
    return { status: response.status, fields: [...response.headers], body: digits(new Uint8Array(read)) };
}

(async () => {
    const answers = [];
    for (const one of cases) answers.push(await ask(one).catch(error => ({ error: `${error.name} ${error.code} ${error.message}` })));
    done(answers);
})();
