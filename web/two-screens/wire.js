// Between the two screens. What must hold is a property that the other one watches: it comes for certain, in
// order, and who is slow gets the latest. Where a card is while it is dragged are datagrams, which may be lost;
// each is echoed once it is shown, so that the round trip is known.
import { decode, encode } from "/peerage/peerage.js";
import { onChange, peersWanting } from "/static/mesh.js";

const AGENT = "TwoScreens";
const DRAG = "two-screens/drag/1";
/** How long the other one may take to answer before this one goes on alone, and when it is asked again. */
const PATIENCE_MS = 2000;
const AGAIN_MS = 500;
/** Updates whose echo is awaited, and round trips that are remembered. */
const AWAITED_MAX = 256;
const ROUND_TRIPS_MAX = 2000;

export class Wire {
  /** `joining` until it is known whether the other screen is there, then `together` or `alone`. */
  status = "joining";
  /** How long round trips took, in milliseconds. */
  roundTrips = [];
  /** The id of who is taken for the other screen, while that is so. */
  #peer;
  #looks = 0;
  #last = 0;
  #sent = new Map();
  #writer;

  /** `told` has `changed(keys)`, `dragged(update)` and `status()`. */
  constructor(node, own, other, shared, told) {
    Object.assign(this, { node, own, other, shared, told });
    this.screen = { side: own, state: shared.entries };
  }

  /** Whether there is another screen already that is this one. */
  async isTaken() {
    const side = ({ id }) => this.node.proxy(id, AGENT, { timeoutMs: PATIENCE_MS }).get("side");
    const asked = peersWanting(this.node, this.own).map(peer => side(peer).catch(() => undefined));
    return (await Promise.all(asked)).includes(this.own);
  }

  /** Is there for the other screen, and looks for it, for as long as the node lives. */
  begin() {
    this.node.agent(AGENT, this.screen);
    onChange(this.node, () => this.#look());
    this.#look();
  }

  /** By which path the other one is reached. */
  get path() {
    const isHere = peer => peer.id === this.#peer && this.status === "together";
    return this.node.peers().find(isHere)?.path;
  }

  /** Tells the other one what this one has written. */
  tell() {
    this.screen.state = this.shared.entries;
  }

  /** Tells where a card is that is being dragged. */
  drag(update) {
    const n = ++this.#last;
    this.#sent.set(n, performance.now());
    this.#sent.delete(n - AWAITED_MAX);
    this.#send({ ...update, n });
  }

  #look() {
    const peers = peersWanting(this.node, this.other);
    if (!this.#peer && peers.length === 0) this.#turn("alone");
    // Not all that are called so need be screens.
    else if (!this.#peer) this.#watch(peers[this.#looks++ % peers.length].id);
    this.told.status();
  }

  #turn(status) {
    if (this.status === status) return;
    this.status = status;
    this.told.status();
  }

  async #watch(peer) {
    this.#peer = peer;
    const impatient = setTimeout(() => this.#turn("alone"), PATIENCE_MS);
    const subscription = this.node.proxy(peer, AGENT).watch("state", state => {
      const changed = this.shared.merge(state);
      this.#turn("together");
      if (changed.length > 0) this.told.changed(changed);
    });
    // It may be there without its screen: a page that loads, or another one of that name.
    const isThere = await subscription.begun.then(() => true, () => false);
    clearTimeout(impatient);
    const datagrams = isThere && this.#exchange(peer);
    await subscription.ended;
    if (datagrams) datagrams.end();
    this.#peer = undefined;
    this.#turn("alone");
    setTimeout(() => this.#look(), AGAIN_MS);
  }

  #exchange(peer) {
    const { readable, writable } = this.node.datagrams(peer, DRAG);
    const reader = readable.getReader();
    const writer = writable.getWriter();
    this.#writer = writer;
    const hear = async () => {
      for (let read = await reader.read(); !read.done; read = await reader.read()) this.#heard(read.value);
    };
    // That the other one is gone is told by the end of the subscription.
    hear().catch(() => {});
    writer.closed.catch(() => {});
    return {
      end: () => {
        this.#writer = undefined;
        reader.cancel().catch(() => {});
        writer.abort().catch(() => {});
      },
    };
  }

  #heard(bytes) {
    let update;
    try {
      update = decode(bytes);
    } catch {
      return;
    }
    if (typeof update?.echo === "number") return this.#echoed(update.echo);
    if (![update?.n, update?.ex, update?.y].every(Number.isFinite)) return;
    this.told.dragged(update);
    this.#send({ echo: update.n });
  }

  #echoed(n) {
    const at = this.#sent.get(n);
    if (!this.#sent.delete(n)) return;
    this.roundTrips.push(performance.now() - at);
    if (this.roundTrips.length > ROUND_TRIPS_MAX) this.roundTrips.shift();
  }

  #send(message) {
    // What is lost is lost: the next one says more.
    this.#writer?.write(encode(message)).catch(() => {});
  }
}
