// What a page's program in TypeScript may say, and what its compiler finds wrong with it.
import init, { Node, type Remote } from "./peerage";
import { Math as Tau } from "./DistributedCalculator";

interface Child { name: string; rename(to: string): string }
interface Calculator {
  total: number;
  add(a: number, b: number): number;
  each(list: number[], f: (x: number) => number): Promise<number[]>;
  child(name: string): Child;
}
interface Events { overflow: { at: number } }

export async function use(): Promise<void> {
  await init();
  const node = await Node.join({ relay: "ws://127.0.0.1:7700/mesh", name: "sample" });
  const agent = node.agent("Calculator", { total: 0, add: (a: number, b: number) => a + b }, { version: 2 });
  agent.emit("overflow", { at: 7 });

  const calc: Remote<Calculator, Events> = node.proxy<Calculator, Events>("other", "Calculator", { timeoutMs: 500 });
  const sum: number = await calc.add(1, 2);
  const total: number = await calc.get("total");
  await calc.set("total", sum + total);
  const doubled: number[] = await calc.each([1, 2], x => x * 2);
  const renamed: string = await calc.child("a").rename("b");
  const on = calc.on("overflow", detail => detail.at.toFixed());
  calc.watch("total", value => value.toFixed());
  await on.begun;
  on.off();
  const pending = calc.with({ signal: AbortSignal.timeout(5) }).add(1, 2);
  pending.cancel();
  node.release(calc);
  node.byReference({ doubled, renamed });

  // @ts-expect-error a text is no number
  await calc.add("1", 2);
  // @ts-expect-error there is no such method
  await calc.divide(1, 2);
  // @ts-expect-error there is no such property
  await calc.get("totals");
  // @ts-expect-error there is no such event
  calc.on("underflow", () => {});
  // @ts-expect-error there is no such option
  calc.with({ timeout: 5 });

  // An interface that was written in Tau.
  const far = node.proxy<Tau.Distributed.Calculator, Tau.Distributed.CalculatorEvents>("far", "Calculator", { version: 2 });
  const evaluated: number = await far.evaluate("1+1");
  far.on("progress", progress => progress.done / progress.total);
  // @ts-expect-error steps have an operation
  await far.run(evaluated, [{ operand: 1 }]);

  const { status, results } = await node.run("calc 1+2 @*", { timeoutMs: 100, onOutput: (text, target) => text + target });
  results?.map(result => "error" in result ? result.error.code : result.output.length + status);
  const text: string = await node.script("1 + 1", { at: "other", onOutput: text => text.length });
  text.trim();
  const { readable, writable } = await node.open("other", "acme/robot/1");
  const newest: string = (await node.open("other", ["acme/robot/2", "acme/robot/1"], { priority: "high" })).protocol;
  const serving = new AbortController();
  node.handle("acme/robot/2", ({ peer, protocol, readable, writable }) => readable.pipeTo(writable), { signal: serving.signal });
  const ticks: WritableStream<Uint8Array | ArrayBuffer> = node.datagrams("other", newest).writable;
  // @ts-expect-error
  node.open("other", [1, 2]);
  readable.pipeTo(writable);
  node.serve(async (request, { peer, headers }) => new Response(peer.name + request.url + headers.get("cookie")));
  // @ts-expect-error a handler gives a Response
  node.serve(() => 7);
  const response: Response = await node.fetch("peer://other/x", { method: "POST", body: new Blob(["x"]), headers: { a: "b" }, signal: AbortSignal.timeout(9) });
  await (await node.fetch(new Request("peer://other/"))).arrayBuffer();
  // @ts-expect-error there is no such option
  node.fetch("peer://other/", { cache: "no-store" });
  response.ok;

  const published = await node.publish("cups/left", { ice: true }, { retain: true, id: { publisher: "sample", number: 1 } });
  const subscription = await node.subscribe<{ ice: boolean }>("cups/#", { after: published.offset, slow: "latest" });
  for await (const m of subscription) {
    if (m.gap) m.gap.missed?.toFixed();
    else if (m.error) m.error.message.trim();
    else if (m.value.ice) await node.subscribe(m.filter, { after: m, signal: AbortSignal.timeout(5) });
  }
  subscription.close();
  const presence = await node.presence("cups/#", { at: "other" });
  for await (const change of presence) change.kind === "join" && presence.members.push(change.member);
  // @ts-expect-error there is no such policy
  await node.subscribe("cups/#", { slow: "never" });
  // @ts-expect-error an id has a publisher
  await node.publish("cups/left", 1, { id: 5 });

  node.operation("pour", async (args: { ml: number }, op) => {
    op.progress(0.5, { note: "half", remainingMs: 900, data: { cups: 1 } });
    op.accept();
    if (op.signal.aborted || args.ml > 500) throw op.fail("errAmount", { most: 500 });
    const [first] = await op.parallel([{ at: "other", name: "heat", args: 90, lastsMs: 100 }]);
    await op.sequence([{ at: op.caller.name, name: "cool" }]);
    return first;
  }, { private: true });
  const pour = node.start<{ ml: number }>("other", "pour", { ml: 250 }, { lane: "valve-1", timeoutMs: 30000, signal: AbortSignal.timeout(5) });
  for await (const progress of pour.progress) progress.remainingMs?.toFixed();
  const poured: number = (await pour.result).ml;
  pour.cancel("the user let go");
  const again = node.attach<string>("other", pour.tracker ?? poured);
  (await again.result).trim();
  for (const info of await node.operations("other")) info.state === "waiting" || info.fraction?.toFixed();
  // @ts-expect-error there is no such option
  node.start("other", "pour", {}, { timeout: 5 });
  // @ts-expect-error there is no such state
  (await node.operations())[0].state === "over";
  await node.close();
}
