// Calls from the left tab: by us, and by Comlink, to a window and a worker beside it and over a data channel.
import * as Comlink from '/modules/comlink/dist/esm/comlink.mjs';

const WARM_UP_MS = 300;
const sums = { add: (a, b) => a + b };
const exposed = `import * as Comlink from '${location.origin}/modules/comlink/dist/esm/comlink.mjs';
    const sums = { add: (a, b) => a + b };`;

/** What Comlink can talk through, of a data channel: it has no structured cloning, so JSON. */
const endpoint = channel => {
    const listeners = new Map();
    return {
        postMessage: message => channel.send(JSON.stringify(message)),
        addEventListener: (type, listener) => {
            const heard = ({ data }) => listener({ data: JSON.parse(data) });
            listeners.set(listener, heard);
            channel.addEventListener(type, heard);
        },
        removeEventListener: (type, listener) => channel.removeEventListener(type, listeners.get(listener)),
    };
};

window.answerCalls = () => {
    window.agent = peerage.agent('Sums', sums);
    Comlink.expose(sums, endpoint(channel));
};

const ways = {
    peerage: () => peerage.proxy('right', 'Sums'),
    channel: () => Comlink.wrap(endpoint(channel)),
    window: async () => {
        const frame = document.createElement('iframe');
        frame.srcdoc = `<script type=module>${exposed} Comlink.expose(sums, Comlink.windowEndpoint(parent))<` + '/script>';
        const loaded = new Promise(done => { frame.onload = done; });
        document.body.append(frame);
        await loaded;
        return Comlink.wrap(Comlink.windowEndpoint(frame.contentWindow));
    },
    worker: () => {
        const script = new Blob([`${exposed} Comlink.expose(sums)`], { type: 'text/javascript' });
        return Comlink.wrap(new Worker(URL.createObjectURL(script), { type: 'module' }));
    },
};
const known = {};

/** Calls a second, and microseconds of the middle one and of the slowest hundredth, so many under way. */
window.calls = async (way, inFlight, ms) => {
    // In an object, as a proxy that is awaited would be asked for `then`.
    const { far } = known[way] ??= { far: await ways[way]() };
    const times = [];
    const begin = performance.now() + WARM_UP_MS;
    const end = begin + ms;
    const caller = async n => {
        for (let start; (start = performance.now()) < end;) {
            const sum = await far.add(n, 2);
            if (sum !== n + 2) throw new Error(`${n} + 2 is not ${sum}`);
            if (start >= begin) times.push(performance.now() - start);
        }
    };
    await Promise.all(Array.from({ length: inFlight }, (_, n) => caller(n)));
    const took = performance.now() - begin;
    times.sort((a, b) => a - b);
    const quantile = share => times[Math.round((times.length - 1) * share)] * 1000;
    return [times.length / took * 1000, quantile(0.5), quantile(0.99)];
};
