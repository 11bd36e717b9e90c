// What both roles show: the glass, and a node's operations.
import { peerCalled } from "/static/mesh.js";

export function find(testid) {
  return document.querySelector(`[data-testid=${testid}]`);
}

export function showConnection(kind, words) {
  const badge = find("connection");
  badge.textContent = words;
  badge.className = `badge ${kind}`;
}

/** Shows a glass: how full it is, of how much, and whether there is something running into it. */
export function showGlass({ ml, most, isOpen }) {
  const glass = document.querySelector(".glass");
  glass.style.setProperty("--full", Math.min(1, ml / most));
  glass.classList.toggle("pouring", isOpen);
  glass.setAttribute("aria-valuemax", most);
  glass.setAttribute("aria-valuenow", Math.round(ml));
  find("level").textContent = `${Math.round(ml)} ml of ${most} ml`;
}

export function seconds(ms) {
  return ms === undefined ? "" : `${Math.ceil(ms / 1000)} s left`;
}

const ENDS = { success: "done", fail: "failed", cancel: "cancelled", abort: "aborted" };

/** Operations as a list of rows, the latest first; those that go on are moved by `progress`. */
export class OperationList {
  #rows = new Map();

  constructor(node, shown) {
    Object.assign(this, { node, shown, list: find("operations") });
  }

  show(infos) {
    const latest = infos.slice(0, this.shown);
    for (const info of latest) this.#update(info);
    const known = new Set(latest.map(info => info.id));
    for (const id of this.#rows.keys()) if (!known.has(id)) this.#rows.delete(id);
    const rows = latest.map(info => this.#rows.get(info.id));
    if (rows.some((row, n) => this.list.children[n] !== row) || this.list.children.length !== rows.length) this.list.replaceChildren(...rows);
    find("none").hidden = rows.length > 0;
  }

  /** Moves the bar of one. */
  progress(id, { fraction, note }) {
    const row = this.#rows.get(id);
    if (!row) return;
    if (fraction !== undefined) row.querySelector("progress").value = fraction;
    row.querySelector(".words").textContent = note ?? "";
  }

  #update(info) {
    const isOver = Object.hasOwn(ENDS, info.state);
    const row = this.#rows.get(info.id) ?? this.#row(info);
    const state = row.querySelector(".badge");
    state.className = `badge ${info.state}`;
    state.textContent = ENDS[info.state] ?? info.state;
    row.querySelector("progress").hidden = isOver || info.fraction === undefined;
    if (isOver || info.note) row.querySelector(".words").textContent = info.reason ?? info.note ?? "";
    if (info.fraction !== undefined) row.querySelector("progress").value = info.fraction;
  }

  #row(info) {
    const row = document.createElement("li");
    const title = Object.assign(document.createElement("strong"), { textContent: info.name });
    const by = Object.assign(document.createElement("span"), { className: "soft", textContent: `by ${this.#nameOf(info.caller)}` });
    const state = document.createElement("span");
    state.className = "badge";
    const words = Object.assign(document.createElement("span"), { className: "words soft" });
    const bar = Object.assign(document.createElement("progress"), { max: 1 });
    row.append(title, by, state, words, bar);
    row.dataset.operation = info.id;
    this.#rows.set(info.id, row);
    return row;
  }

  #nameOf(id) {
    if (id === this.node.id) return this.node.name;
    return this.node.peers().find(peer => peer.id === id)?.name ?? id.slice(0, 8);
  }
}

/** How a machine is reached, in a word. */
export function pathTo(node, name) {
  return peerCalled(node, name)?.path;
}
