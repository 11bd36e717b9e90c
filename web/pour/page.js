// Pour: `?role=dispenser` is a machine with a glass, simulated; else this is a remote control for one.
import { join, showProblem } from "/static/mesh.js";
import { runMachine } from "./machine.js";
import { runRemote } from "./remote.js";
import { find } from "./show.js";

const wishes = new URLSearchParams(location.search);
const isMachine = wishes.get("role") === "dispenser";
const name = wishes.get("name") ?? (isMachine ? "dispenser" : undefined);

try {
  const node = await join({ name });
  find("own-name").textContent = node.name;
  document.title = `${node.name} · Pour · Peerage`;
  if (isMachine) runMachine(node);
  else runRemote(node, wishes.get("machine"));
} catch (error) {
  showProblem(`This page cannot join: ${error.message}`);
}
