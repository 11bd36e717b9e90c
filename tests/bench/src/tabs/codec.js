// Values to bytes and back in a tab: by us, by cbor-x, as JSON; and what structured cloning takes.
import { encode, decode } from './peerage.js';
import '/modules/cbor-x/dist/index.min.js';

const record = id => ({
    id, name: `record number ${id}`, ratio: id / 7, active: id % 2 === 0,
    tags: ['alpha', `tag-${id % 10}`], parent: id % 3 ? Math.floor(id / 2) : null,
});
const documents = {
    record: record(1),
    records: Array.from({ length: 1000 }, (_, id) => record(id)),
    bytes: Uint8Array.from({ length: 1 << 20 }, (_, n) => n * 31 >> 3),
    numbers: Array.from({ length: 1 << 16 }, (_, n) => n / 7),
};

const text = new TextEncoder();
const words = new TextDecoder();
const graphs = new CBOR.Encoder({ structuredClone: true });
// JSON has no bytes: it is given a list of numbers.
const plain = value => value instanceof Uint8Array ? Array.from(value) : value;
const codecs = {
    peerage: [encode, decode],
    cborX: [CBOR.encode, CBOR.decode],
    cborXGraphs: [value => graphs.encode(value), bytes => graphs.decode(bytes)],
    json: [value => text.encode(JSON.stringify(value)), bytes => JSON.parse(words.decode(bytes))],
    clone: [structuredClone],
};

/** Microseconds that it takes, on average. */
const micros = (once, ms) => {
    const start = performance.now();
    let times = 0;
    let took;
    do {
        once();
        times++;
        took = performance.now() - start;
    } while (took < ms);
    return took * 1000 / times;
};

/** Microseconds to write and to read, and bytes. */
window.codec = async (name, document, ms) => {
    const [write, read] = codecs[name];
    const value = name === 'json' ? plain(documents[document]) : documents[document];
    const writing = micros(() => write(value), ms);
    // One encoder may use its memory again.
    const bytes = read && write(value).slice();
    return [writing, read ? micros(() => read(bytes), ms) : null, read ? bytes.length : null];
};
