// The site of `site.rs`, as a page serves it. Each answer tells its length where the other does.
const blanks = '\r\n\r\n\n\na\r\n\r\n0\r\n\r\nb\n\n';
const lines = Array.from({ length: 5000 }, (_, n) => `line ${n}\n`).join('');
const plain = { 'content-type': 'text/plain; charset=utf-8' };
const seconds = 1600000000;
const written = new Date(seconds * 1000).toUTCString();

function sized(text, headers = plain, status = 200) {
    const bytes = new TextEncoder().encode(text);
    return new Response(bytes, { status, headers: { ...headers, 'content-length': `${bytes.length}` } });
}

const none = (status = 200, headers = {}) => new Response(null, { status, headers });

// As Rust shows the bytes of a value, of which each is a character here.
function quoted(value) {
    const escaped = value.replace(/[^\t\x20-\x7e]|"/g, c => c === '"' ? '\\"' : `\\x${c.charCodeAt().toString(16)}`);
    return `"${escaped}"`;
}

async function echo(request, url, headers) {
    const own = ([name]) => name.startsWith('x-') && !name.startsWith('x-forwarded') || name === 'content-length';
    const fields = [...headers].filter(own).map(([name, value]) => `${name}: ${quoted(value)}\n`).sort();
    const body = await request.text();
    return sized(`${request.method} ${url.pathname}${url.search}\n${fields.join('')}{}\n${body}`);
}

function streamed(pull, headers = {}) {
    // Nothing is made before it is read.
    return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }), { headers });
}

function zeros(count) {
    const piece = new Uint8Array(64 * 1024);
    return streamed(controller => {
        if (count === 0) return controller.close();
        const size = Math.min(count, piece.length);
        count -= size;
        controller.enqueue(piece.slice(0, size));
    });
}

async function counted(request) {
    let bytes = 0;
    const reader = request.body?.getReader();
    for (let read; reader && !(read = await reader.read()).done;) bytes += read.value.length;
    return sized(`${bytes}`);
}

function events() {
    let n = 0;
    return streamed(async controller => {
        if (n === 3) return controller.close();
        await new Promise(resolve => setTimeout(resolve, 50));
        controller.enqueue(new TextEncoder().encode(`data: ${n++}\n\n`));
    }, { 'content-type': 'text/event-stream' });
}

function fails() {
    let n = 0;
    return streamed(async controller => {
        await new Promise(resolve => setTimeout(resolve, 50));
        if (n++) throw new Error('hush');
        controller.enqueue(new TextEncoder().encode('some'));
    });
}

function many() {
    const values = ['1', '2', '\xff\xfe caf\xe9', '', 'a\tb', '  '].map(value => ['x-many', value]);
    const rest = Object.entries({ ...plain, 'x-long': 'y'.repeat(30000), vary: 'accept', 'content-length': '7' });
    return new Response('headers', { headers: [...values, ...rest] });
}

function etag(request) {
    const tag = { etag: '"v1"' };
    if (!['GET', 'HEAD'].includes(request.method)) return none(405, { allow: 'GET,HEAD' });
    return request.headers.get('if-none-match') === '"v1"' ? none(304, tag) : sized('first', { ...plain, ...tag });
}

function file(text, type, range) {
    const tag = `"${seconds.toString(16)}.00000000-${text.length.toString(16)}"`;
    const known = { 'accept-ranges': 'bytes', 'last-modified': written, etag: tag };
    const headers = { ...known, 'content-type': type };
    const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(range ?? '') ?? [];
    if (first === undefined) return sized(text, headers);
    const start = first ? Number(first) : text.length - Number(last);
    const end = first && last ? Math.min(Number(last), text.length - 1) : text.length - 1;
    if (start > end) return none(416, { ...known, 'content-range': `bytes */${text.length}` });
    return sized(text.slice(start, end + 1), { ...headers, 'content-range': `bytes ${start}-${end}/${text.length}` }, 206);
}

function told(status) {
    return [204, 205, 304].includes(status) ? none(status) : sized('told', plain, status);
}

peerage.serve((request, { headers }) => {
    const url = new URL(request.url);
    const [, place, rest] = url.pathname.split('/');
    switch (place) {
        case 'echo': return echo(request, url, headers);
        case 'mirror': return new Response(request.body);
        case 'count': return counted(request);
        case 'zeros': return zeros(Number(rest));
        case 'status': return told(Number(rest));
        case 'redirect': return none(302, { location: '/echo?from=there' });
        case 'headers': return many();
        case 'cookies': return sized('cookies');
        case 'etag': return etag(request);
        case 'blanks': return sized(blanks);
        case 'empty': return none();
        case 'trailers': return new Response(new Blob(['data']).stream(), { headers: { trailer: 'x-sum' } });
        case 'events': return events();
        case 'fails': return fails();
        case 'files': switch (rest) {
            case 'text.txt': return file(lines, 'text/plain', request.headers.get('range'));
            case '': return file(blanks, 'text/html');
        }
    }
    return none(404);
});
return 0;
