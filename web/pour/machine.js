// The machine: a valve, and a glass below it. `open` lets water run until `close`, both in one lane of who
// presses; `pour` lets so much of it run. Each is an operation.
import { OperationList, find, showConnection, showGlass } from "./show.js";
import { onChange } from "/static/mesh.js";

const ML_PER_S = 12.5;
const GLASS_ML = 500;
const LIST_EVERY_MS = 500;
const LIST_SHOWN = 12;
const HISTORY_MAX = 4096;

export function runMachine(node) {
  document.querySelector(".machine").hidden = false;
  const machine = new Machine(node);
  window.machine = machine;
  offer(node, machine);
  const status = () => showConnection(node.state, node.state === "online" ? `here as ${node.name}` : node.state);
  onChange(node, status);
  // Who has gone holds nothing down any more.
  node.addEventListener("peerleave", event => machine.release(event.detail.id));
  status();
  const list = new OperationList(node, LIST_SHOWN);
  setInterval(async () => list.show(await node.operations()), LIST_EVERY_MS);
  find("remote-link").href = `./?machine=${encodeURIComponent(node.name)}`;
  find("water").addEventListener("change", event => machine.set({ hasWater: event.target.checked }));
  find("empty").addEventListener("click", () => machine.set({ ml: 0 }));
}

function offer(node, machine) {
  node.operation("open", (_, op) => {
    const flow = machine.begin(op, op.caller.id);
    // The valve is open: `close` may begin, which ends this.
    op.accept();
    return machine.run(flow, Infinity);
  });
  node.operation("close", (_, op) => machine.release(op.caller.id));
  node.operation("pour", (args, op) => {
    const ml = args?.ml;
    if (!(ml > 0 && ml <= GLASS_ML)) throw op.fail("errAmount", { most: GLASS_ML });
    return machine.run(machine.begin(op), ml);
  });
}

class Machine {
  /** What became of the valve, in order: `open` and `close`. */
  history = [];
  #flow;
  #ticks;

  constructor(node) {
    this.shown = { state: { ml: 0, most: GLASS_ML, isOpen: false, hasWater: true } };
    this.agent = node.agent("Dispenser", this.shown);
    this.#ticks = new Worker(new URL("tick.js", import.meta.url));
    this.set({});
  }

  get isOpen() {
    return this.#flow !== undefined;
  }

  /** Opens the valve for an operation; until the one who holds it down releases it, if anyone does. */
  begin(op, holder) {
    const { hasWater, ml } = this.shown.state;
    if (this.#flow) throw op.fail("errBusy");
    if (!hasWater) throw op.fail("errNoWater", { ml: 0 });
    if (ml >= GLASS_ML) throw op.fail("errGlassFull", { ml: 0 });
    const { promise, resolve } = Promise.withResolvers();
    this.#flow = { op, holder, ml: 0, at: performance.now(), over: promise, end: resolve };
    this.#note("open");
    return this.#flow;
  }

  /** Lets it run until so much has, or it is released; what has run. */
  async run(flow, ml) {
    const { op } = flow;
    const began = flow.at;
    try {
      while (flow.ml < ml && this.#flow === flow) {
        this.#tell(flow, ml, began);
        await Promise.race([this.#tick(), flow.over]);
        this.#fill(flow, ml);
        if (op.signal.aborted) throw op.signal.reason;
        if (flow.ml >= ml || this.#flow !== flow) break;
        if (!this.shown.state.hasWater) throw op.fail("errNoWater", { ml: flow.ml });
        if (this.shown.state.ml >= GLASS_ML) throw op.fail("errGlassFull", { ml: flow.ml });
      }
      this.#tell(flow, ml, began);
      return { ml: Math.round(flow.ml * 10) / 10 };
    } finally {
      this.#close(flow);
    }
  }

  /** Closes the valve, if this one holds it open. */
  release(holder) {
    const flow = this.#flow;
    if (!flow || flow.holder !== holder) return false;
    this.#fill(flow, Infinity);
    this.#close(flow);
    return true;
  }

  set(change) {
    this.shown.state = { ...this.shown.state, ...change };
    showGlass(this.shown.state);
  }

  #close(flow) {
    if (this.#flow !== flow) return;
    this.#flow = undefined;
    flow.end();
    this.#note("close");
  }

  #fill(flow, most) {
    if (this.#flow !== flow || !this.shown.state.hasWater) return;
    const now = performance.now();
    const room = Math.min(most - flow.ml, GLASS_ML - this.shown.state.ml);
    const ml = Math.min(room, ((now - flow.at) / 1000) * ML_PER_S);
    flow.at = now;
    flow.ml += ml;
    this.set({ ml: this.shown.state.ml + ml });
  }

  #tell(flow, ml, began) {
    const data = { elapsedMs: performance.now() - began };
    const sofar = `${Math.round(flow.ml)} ml`;
    if (ml === Infinity) return flow.op.progress(undefined, { note: sofar, data });
    const remainingMs = ((ml - flow.ml) / ML_PER_S) * 1000;
    flow.op.progress(flow.ml / ml, { note: `${sofar} of ${ml} ml`, remainingMs, data });
  }

  #tick() {
    return new Promise(resolve => this.#ticks.addEventListener("message", resolve, { once: true }));
  }

  #note(what) {
    this.history.push(what);
    if (this.history.length > HISTORY_MAX) this.history.shift();
    this.set({ isOpen: this.isOpen });
    const valve = find("valve");
    valve.textContent = this.isOpen ? "open" : "closed";
    valve.classList.toggle("direct", this.isOpen);
    const times = this.history.filter(entry => entry === "open").length;
    find("opened").textContent = `opened ${times === 1 ? "once" : `${times} times`}`;
  }
}
