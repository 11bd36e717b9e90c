// A tab and native nodes: how much goes each way, and how long there and back takes.

const text = new TextEncoder();
const words = new TextDecoder();

/** Messages a second of that size that reach a node in about that time. */
window.rateTo = async (target, size, ms) => {
    const message = new Uint8Array(size);
    const start = performance.now();
    const { readable, writable } = await peerage.open(target, 'bench/count/1');
    const writer = writable.getWriter();
    while (performance.now() - start < ms) {
        await writer.ready;
        for (let n = 0; n < 32 && writer.desiredSize > 0; n++) writer.write(message);
    }
    writer.close();
    let count = '';
    for await (const chunk of readable) count += words.decode(chunk);
    return +count / (performance.now() - start) * 1000;
};

/** Messages a second of that size that come from a node in that time. */
window.rateFrom = async (target, size, ms) => {
    const { readable, writable } = await peerage.open(target, 'bench/send/1');
    const writer = writable.getWriter();
    writer.write(text.encode(size));
    const start = performance.now();
    let count = 0;
    for await (const _ of readable) {
        count++;
        if (performance.now() - start >= ms) break;
    }
    writer.abort().catch(() => {});
    return count / (performance.now() - start) * 1000;
};

/** Milliseconds there and back, one message after the other: the median of so many. */
window.roundTrip = async (target, count) => {
    const { readable, writable } = await peerage.open(target, 'bench/echo/1');
    const writer = writable.getWriter(), reader = readable.getReader();
    const message = new Uint8Array(64);
    const times = [];
    for (let n = 0; n < count; n++) {
        const start = performance.now();
        writer.write(message);
        await reader.read();
        times.push(performance.now() - start);
    }
    writer.close();
    return times.sort((a, b) => a - b)[count >> 1];
};
