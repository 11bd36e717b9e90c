// A client of KOS, as its reference has it: it knows the text frames and nothing else. The tests hand it to pages.

/** Lines `name:value` up to the first empty one, then a body. */
function read(frame) {
  const end = frame.indexOf("\n\n");
  const headers = {};
  for (const line of frame.slice(0, end).split("\n")) {
    const colon = line.indexOf(":");
    headers[line.slice(0, colon)] = line.slice(colon + 1);
  }
  return { headers, body: frame.slice(end + 2) };
}

/** As the first browsers of KOS read a frame: cut at every empty line, with its second piece as the body. */
function readAsBefore(frame) {
  const [head, body] = frame.split("\n\n").map((piece) => piece.trim());
  const headers = {};
  for (const line of head.split("\n")) {
    const [name, value] = line.split(/:(.*)/s).map((part) => part.trim());
    if (name && value) headers[name] = value;
  }
  return { headers, body };
}

function write(headers, body = "") {
  const lines = Object.entries(headers).filter(([, value]) => value !== undefined);
  return lines.map(([name, value]) => `${name}:${value}\n`).join("") + "\n" + body;
}

class Kos {
  constructor(url, alias, reader = read) {
    this.frames = [];
    this.waiting = new Map();
    this.handlers = new Map();
    this.futures = new Map();
    this.messages = [];
    this.errors = [];
    this.socket = new WebSocket(url);
    this.socket.onmessage = ({ data }) => this.hear(data, reader(data));
    this.closed = new Promise((resolve) => (this.socket.onclose = (e) => resolve(e.code)));
    this.opened = new Promise((resolve, reject) => {
      this.socket.onopen = () => {
        if (alias) this.socket.send(`type:kos.addr.alias\nalias:${alias}\n\n`);
        resolve(this);
      };
      this.socket.onerror = reject;
    });
  }

  hear(data, { headers, body }) {
    this.frames.push(data);
    if (headers.type === "kos.addr.alias") this.address = headers["dst-addr"];
    if (headers.type === "kos.error") this.errors.push({ headers, ...JSON.parse(body) });
    if (headers.type === "kos.http.request") return this.answer(headers, body);
    if (headers.type === "kos.message.request") return this.messages.push({ headers, body });
    if (headers.type === "kos.future") {
      const future = JSON.parse(body);
      const seen = this.futures.get(future.tracker) ?? [];
      this.futures.set(future.tracker, [...seen, future]);
      return;
    }
    const key = headers.subscription || headers["response-id"] || headers.topic || headers.type;
    const waiting = this.waiting.get(key);
    if (waiting) {
      this.waiting.delete(key);
      waiting({ headers, body });
    }
    this.handlers.get(key)?.({ topic: headers.topic, from: headers["src-addr"], value: body ? JSON.parse(body) : undefined });
  }

  send(headers, body) {
    this.socket.send(write(headers, body));
  }

  /** HTTP over the socket; a Uint8Array goes as base64. */
  fetch(url, { method = "GET", body, to, ordered, tracker, headers = {}, id = String(Math.random()) } = {}) {
    const answered = new Promise((resolve) => this.waiting.set(id, resolve));
    const isBytes = body instanceof Uint8Array;
    const encoding = isBytes ? { "content-encoding": "base64" } : {};
    const text = isBytes ? btoa(String.fromCharCode(...body)) : body;
    this.send({ method, url, "request-id": id, "dst-addr": to, ordered: ordered ? "true" : undefined, tracker,
      ...headers, ...encoding, type: "kos.http.request" }, text);
    return answered.then(({ headers, body }) => {
      const isBase64 = headers["content-encoding"] === "base64";
      const bytes = isBase64 ? Uint8Array.from(atob(body), (c) => c.charCodeAt(0)) : new TextEncoder().encode(body);
      return { status: Number(headers.status), headers, bytes: [...bytes], text: new TextDecoder().decode(bytes) };
    });
  }

  subscribe(topics, handler, to) {
    for (const topic of topics) this.handlers.set(topic, handler);
    this.send({ type: "kos.broker.subscribe", "dst-addr": to }, JSON.stringify(topics));
  }

  unsubscribe(topics) {
    this.send({ type: "kos.broker.unsubscribe" }, JSON.stringify(topics));
  }

  publish(topic, value) {
    this.send({ topic, type: "kos.broker.send" }, value === undefined ? "" : JSON.stringify(value));
  }

  /** Answers requests of others: `handler` gives `{ status, body, headers }`, or nothing to be silent. */
  serve(handler) {
    this.handler = handler;
  }

  async answer(headers, body) {
    const answer = await this.handler?.({ headers, body });
    if (!answer) return;
    this.send({ "response-id": headers["request-id"], "dst-addr": headers["src-addr"], "src-addr": headers["dst-addr"],
      type: "kos.http.response", status: answer.status ?? 200, "Content-Type": "application/json",
      "Cache-Control": "no-cache", ...answer.headers }, answer.body ?? "");
  }

  message(to, topic, value) {
    this.send({ topic, "dst-addr": to, type: "kos.message.request" }, JSON.stringify(value));
  }
}

window.Kos = Kos;
window.readAsBefore = readAsBefore;
