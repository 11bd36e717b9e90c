// The remote control: a button that pours while it is pressed, and one that pours a glass. Both go to the
// machine that is chosen.
import { Machines } from "./machines.js";
import { OperationList, find, seconds } from "./show.js";

/** In one lane `close` begins after `open`, however short the tap. */
const LANE = "valve-1";
const HELD_MS_MAX = 30000;
const POUR_ML = 250;
const STORED = "pour.running";
const LIST_EVERY_MS = 1000;
const LIST_SHOWN = 8;

const REASONS = {
  errNoWater: "the machine has no water",
  errBusy: "the machine is pouring already",
  errGlassFull: "the glass is full",
  errNoGlass: "there is no glass",
  errNoBoard: "the machine has lost its board",
  interrupted: "the machine was lost in the midst of it",
  left: "the machine has left",
  gone: "the machine cannot be reached any more",
  unreachable: "the machine cannot be reached",
  "unknown-name": "the machine is not here, or knows nothing of it",
};

export function runRemote(node, wished) {
  document.querySelector(".remote").hidden = false;
  const left = stored();
  const machines = new Machines(node, left?.machine ?? wished);
  const remote = new Remote(node, machines);
  holdToPour(find("hold"), remote);
  find("pour").addEventListener("click", () => remote.pour());
  if (left) remote.follow(node.attach(left.machine, left.tracker), left.machine);
  showOperations(node, machines);
}

class Remote {
  #running;

  constructor(node, machines) {
    Object.assign(this, { node, machines });
    find("cancel").addEventListener("click", () => this.#running?.cancel("the user pressed Cancel"));
  }

  press() {
    const options = { lane: LANE, timeoutMs: HELD_MS_MAX };
    const held = this.node.start(this.machines.chosen, "open", {}, options);
    held.result.then(({ ml }) => showEnd("success", `${ml} ml poured.`), showError);
  }

  letGo() {
    const closed = this.node.start(this.machines.chosen, "close", {}, { lane: LANE });
    closed.result.catch(showError);
  }

  /** Pours a glass. Should this page be reloaded meanwhile, it finds it again by its tracker. */
  pour() {
    const machine = this.machines.chosen;
    const pour = this.node.start(machine, "pour", { ml: POUR_ML });
    sessionStorage.setItem(STORED, JSON.stringify({ machine, tracker: pour.tracker }));
    this.follow(pour, machine);
  }

  async follow(operation, machine) {
    this.#running = operation;
    showEnd("", "");
    this.#showRunning(true);
    try {
      for await (const progress of operation.progress) showProgress(progress);
      const { ml } = await operation.result;
      showEnd("success", `${ml} ml poured by ${machine}.`);
    } catch (error) {
      // It is this page that goes, and not the pour.
      if (this.node.state === "closed") return;
      showError(error);
    }
    // This end was seen.
    sessionStorage.removeItem(STORED);
    this.#running = undefined;
    this.#showRunning(false);
  }

  #showRunning(is) {
    document.querySelector(".running").hidden = !is;
    find("pour").disabled = is;
    if (is) showProgress({});
  }
}

/** A button that is down from pointer or key down to up, whatever happens in between. */
function holdToPour(button, remote) {
  let isDown = false;
  const down = () => {
    if (isDown || button.disabled) return;
    isDown = true;
    button.classList.add("down");
    remote.press();
  };
  const up = () => {
    if (!isDown) return;
    isDown = false;
    button.classList.remove("down");
    remote.letGo();
  };
  const isKey = event => event.key === " " || event.key === "Enter";
  button.addEventListener("pointerdown", event => {
    if (event.button !== 0) return;
    // A pointer that is no real one cannot be captured.
    if (event.isTrusted) button.setPointerCapture(event.pointerId);
    down();
  });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) button.addEventListener(kind, up);
  button.addEventListener("keydown", event => isKey(event) && (event.preventDefault(), down()));
  button.addEventListener("keyup", event => isKey(event) && up());
  button.addEventListener("contextmenu", event => event.preventDefault());
  document.addEventListener("visibilitychange", () => document.hidden && up());
}

function showProgress({ fraction, note, remainingMs }) {
  const bar = find("bar");
  if (fraction === undefined) bar.removeAttribute("value");
  else bar.value = fraction;
  find("note").textContent = note ?? "asking…";
  find("remaining").textContent = seconds(remainingMs);
}

function showEnd(end, words) {
  const shown = find("end");
  shown.textContent = words;
  shown.className = `end ${end}`;
  shown.dataset.end = end;
}

function showError({ end, reason, code, message }) {
  const why = REASONS[reason] ?? REASONS[code] ?? reason ?? message;
  const words = { cancel: "Cancelled", abort: "Aborted" }[end] ?? "Failed";
  showEnd(end ?? "fail", `${words}: ${why}.`);
}

/** Keeps the list of the machine's operations true; those that go on are watched, whosoever they are. */
function showOperations(node, machines) {
  const list = new OperationList(node, LIST_SHOWN);
  const watched = new Set();
  const watch = async (machine, id) => {
    watched.add(id);
    for await (const progress of node.attach(machine, id).progress) list.progress(id, progress);
    watched.delete(id);
    look();
  };
  const look = async () => {
    const machine = machines.chosen;
    find("of").textContent = `of ${machine}`;
    const infos = machines.isHere ? await node.operations(machine).catch(() => []) : [];
    list.show(infos);
    for (const { id, state } of infos.slice(0, LIST_SHOWN)) {
      if (state === "running" && !watched.has(id)) watch(machine, id);
    }
  };
  setInterval(look, LIST_EVERY_MS);
  look();
}

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(STORED));
  } catch {
    return null;
  }
}
