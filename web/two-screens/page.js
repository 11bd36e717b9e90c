// Two screens: `?name=left` and `?name=right` are the two halves of one user interface. There is no code for it
// at the relay, and it goes on without the relay.
import { join, showProblem } from "/static/mesh.js";
import { Board, firstCards } from "./board.js";
import { Shared } from "./shared.js";
import { Wire } from "./wire.js";

const OTHER = { left: "right", right: "left" };
const COLOURS = ["Blue", "Green", "Amber", "Rose", "Violet"];
/** For how long the other screen is waited for when it cannot be reached, before its cards come back. */
const RESUME_MS = 5000;
const LOOK_EVERY_MS = 250;
const find = name => document.querySelector(name);

const own = new URLSearchParams(location.search).get("name");
const other = Object.hasOwn(OTHER, own ?? "") ? OTHER[own] : undefined;
if (other) start();
else {
  find(".choice").hidden = false;
  find("header .badge").hidden = true;
}

async function start() {
  document.title = `Two screens, ${own} · Peerage`;
  document.body.dataset.side = own;
  find("[data-testid=side]").textContent = own;
  let node;
  try {
    node = await join({ name: own, resumeWindowMs: RESUME_MS });
  } catch (error) {
    return showProblem(`This page cannot join: ${error.message}`);
  }
  await run(node);
}

async function run(node) {
  const first = { ...firstCards(), view: "cards", colour: COLOURS[0], selected: "", "count:left": 0, "count:right": 0 };
  const shared = new Shared(own, first, saved());
  const show = () => {
    showView(shared.get("view"));
    showCount(shared);
    showColour(shared.get("colour"));
    board.settle();
  };
  const wire = new Wire(node, own, other, shared, {
    changed: show,
    dragged: update => board.dragged(update),
    status: () => {
      showStatus(node, wire);
      board.settle();
    },
  });
  if (await wire.isTaken()) {
    await node.close();
    return showProblem(`There is a ${own} screen already.`);
  }
  for (const part of document.querySelectorAll("nav, main, footer")) part.hidden = false;
  const write = (key, value) => {
    shared.set(key, value);
    wire.tell();
    show();
  };
  const board = new Board(find(".board"), own, other, shared, wire, say);
  offer(shared, write);
  show();
  wire.begin();
  setInterval(() => showLatency(wire.roundTrips), LOOK_EVERY_MS);
  addEventListener("pagehide", () => save(shared));
}

/** What the page's buttons do. */
function offer(shared, write) {
  for (const button of document.querySelectorAll("[data-view]")) {
    button.addEventListener("click", () => write("view", button.dataset.view));
  }
  const step = find("[data-step]");
  const by = own === "left" ? -1 : 1;
  step.textContent = by > 0 ? "+" : "−";
  step.setAttribute("aria-label", by > 0 ? "One more" : "One less");
  // Each screen counts for itself, so that of two presses at once none is lost.
  step.addEventListener("click", () => write(`count:${own}`, shared.get(`count:${own}`) + by));
  for (const colour of COLOURS) {
    const button = Object.assign(document.createElement("button"), { textContent: colour });
    button.dataset.colour = colour;
    button.addEventListener("click", () => write("colour", colour));
    find(".colours div").append(button);
  }
}

function showView(view) {
  for (const page of document.querySelectorAll("[data-page]")) page.hidden = page.dataset.page !== view;
  for (const button of document.querySelectorAll("[data-view]")) {
    if (button.dataset.view === view) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
}

function showCount(shared) {
  find("[data-testid=count]").textContent = shared.get("count:left") + shared.get("count:right");
}

function showColour(chosen) {
  document.body.dataset.colour = chosen;
  for (const button of document.querySelectorAll(".colours [data-colour]")) {
    button.setAttribute("aria-pressed", String(button.dataset.colour === chosen));
  }
}

function showStatus(node, wire) {
  const shown = wire.path ?? (wire.status === "alone" ? "alone" : "connecting");
  const words = {
    direct: `directly connected to ${other}`,
    relayed: `connected to ${other} through the relay`,
    alone: `alone: there is no ${other} screen`,
    connecting: `looking for ${other}`,
  };
  const badge = find("[data-testid=connection]");
  badge.textContent = words[shown];
  badge.className = `badge ${shown}`;
  document.body.dataset.connection = shown;
  find("[data-testid=relay]").textContent = node.state === "online" ? "The relay is there." : "The relay is away.";
}

function showLatency(roundTrips) {
  if (roundTrips.length === 0) return;
  const sorted = roundTrips.toSorted((a, b) => a - b);
  const at = share => Math.round(sorted[Math.floor((sorted.length - 1) * share)] * 100) / 100;
  window.latency = { count: sorted.length, p50: at(0.5), p99: at(0.99) };
  const { count, p50, p99 } = window.latency;
  find("[data-testid=latency]").textContent = `Round trip: p50 ${p50} ms, p99 ${p99} ms, of ${count}`;
}

function say(words) {
  find("[data-testid=told]").textContent = words;
}

/** What this screen knew before it was reloaded. */
function saved() {
  try {
    return JSON.parse(sessionStorage.getItem(`two-screens.${own}`));
  } catch {
    return null;
  }
}

function save(shared) {
  sessionStorage.setItem(`two-screens.${own}`, JSON.stringify(shared.entries));
}
