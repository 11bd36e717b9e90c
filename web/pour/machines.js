// Which machines there are, which one is meant, and how its glass is.
import { find, showConnection, showGlass } from "./show.js";
import { onChange, peerCalled } from "/static/mesh.js";

const AGENT = "Dispenser";
/** By which the node of an adapter tells whether its hardware is there. */
const ADAPTER = "peerage/adapter/1";
const ANSWER_MS = 3000;
const AGAIN_MS = 500;

export class Machines {
  /** The name of the one that is meant. Until somebody has said it, that is any that is here. */
  chosen;
  #isSaid;
  #known = new Map();
  #watched;
  #isLinked = true;

  constructor(node, wished) {
    Object.assign(this, { node, select: find("machine") });
    this.#isSaid = wished != null;
    this.select.addEventListener("change", () => {
      this.#isSaid = true;
      this.#choose(this.select.value);
    });
    onChange(node, () => this.#look());
    this.#choose(wished ?? "dispenser");
  }

  get isHere() {
    return peerCalled(this.node, this.chosen) !== undefined;
  }

  #choose(name) {
    this.chosen = name;
    this.#watched?.off();
    this.#watched = undefined;
    this.#isLinked = true;
    find("level").textContent = "no glass in sight";
    this.#look();
  }

  #look() {
    const peers = this.node.peers().filter(peer => peer.kind !== "relay");
    const here = new Set(peers.map(peer => peer.id));
    for (const id of this.#known.keys()) if (!here.has(id)) this.#known.delete(id);
    for (const peer of peers) if (!this.#known.has(peer.id)) this.#ask(peer.id);
    this.#show(peers);
    if (this.isHere && !this.#watched) this.#watch();
  }

  /** Whether a node is a machine, it says itself. */
  async #ask(id) {
    this.#known.set(id, false);
    const state = this.node.proxy(id, AGENT, { timeoutMs: ANSWER_MS }).get("state");
    const isMachine = await state.then(() => true, () => false);
    if (isMachine && this.#known.has(id)) this.#known.set(id, true);
    this.#look();
  }

  #show(peers) {
    const names = peers.filter(peer => this.#known.get(peer.id)).map(peer => peer.name);
    if (!this.#isSaid && names.length > 0 && !names.includes(this.chosen)) return this.#choose(names[0]);
    const all = [...new Set([this.chosen, ...names])].sort();
    const shown = [...this.select.options].map(option => option.value);
    if (String(all) !== String(shown)) this.select.replaceChildren(...all.map(name => new Option(name)));
    this.select.value = this.chosen;
    const peer = peerCalled(this.node, this.chosen);
    const words = { direct: "directly connected", relayed: "connected through the relay" };
    const isCut = this.node.state !== "online" && peer?.path !== "direct";
    if (isCut) showConnection("alone", "the relay is away");
    else if (peer && !this.#isLinked) showConnection("alone", `${this.chosen} is unplugged`);
    else if (peer) showConnection(peer.path, words[peer.path]);
    else showConnection("alone", `no ${this.chosen} here`);
    for (const button of [find("hold"), find("pour")]) button.classList.toggle("away", !peer || isCut || !this.#isLinked);
  }

  /** Keeps the glass as it is at the machine, until another one is chosen. */
  async #watch() {
    const watched = this.node.proxy(this.chosen, AGENT).watch("state", state => {
      if (this.#watched === watched && state) showGlass(state);
    });
    this.#watched = watched;
    const peer = peerCalled(this.node, this.chosen);
    const linked = peer?.kind === "adapter" ? this.#watchLink(watched) : undefined;
    await watched.ended;
    linked?.off();
    if (this.#watched !== watched) return;
    document.querySelector(".glass").classList.remove("pouring");
    setTimeout(() => {
      if (this.#watched !== watched) return;
      this.#watched = undefined;
      this.#look();
    }, AGAIN_MS);
  }

  /** An adapter's node is here though its hardware may be not. */
  #watchLink(watched) {
    return this.node.proxy(this.chosen, ADAPTER).watch("linked", isLinked => {
      if (this.#watched !== watched) return;
      this.#isLinked = isLinked;
      if (!isLinked) document.querySelector(".glass").classList.remove("pouring");
      this.#known.delete(peerCalled(this.node, this.chosen)?.id);
      this.#look();
    });
  }
}
