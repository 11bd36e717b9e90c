// How a page of this relay gets into its mesh: by the npm package, as any page would.
import init, { Node } from "/peerage/peerage.js";

/** Joins under a name. The node is `window.peerage` as well, for the developer tools. */
export async function join(options) {
  await init();
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const node = await Node.join({ relay: `${scheme}://${location.host}/mesh`, ...options });
  window.peerage = node;
  // A page that the browser had put aside has left the mesh meanwhile.
  addEventListener("pageshow", event => event.persisted && location.reload());
  return node;
}

/** Tells of whatever changes: who is here, by which path, and how the node stands with its relay. */
export function onChange(node, listener) {
  for (const kind of ["peerjoin", "peerleave", "pathchange", "state"]) node.addEventListener(kind, listener);
}

/** The peer of a name, if it is here. */
export function peerCalled(node, name) {
  return node.peers().find(peer => peer.name === name);
}

/** The peers that asked for a name: who came when it was taken has a number behind it. */
export function peersWanting(node, name) {
  const wanted = new RegExp(`^${name}(-[0-9]+)?$`);
  return node.peers().filter(peer => wanted.test(peer.name));
}

/** Shows why the page has no node, with a way to try again. */
export function showProblem(text) {
  const problem = document.querySelector(".problem");
  const again = document.createElement("button");
  again.textContent = "Try again";
  again.addEventListener("click", () => location.reload());
  problem.replaceChildren(text, " ", again);
  problem.hidden = false;
}
