/** What becomes of turns and subscriptions when the connection breaks, or the daemon does. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { TurnLostError, type MeerkatClient } from "../dist/index.js";
import { Gate, MODEL, Signal, World, type Proxy } from "./harness.js";

let world: World;
let client: MeerkatClient;
let proxy: Proxy;

before(async () => {
  world = await World.make();
  const direct = await world.client();
  await direct.close();
  proxy = await world.proxy();
  client = await world.client();
});
after(() => world.close());

const limited = { timeout: 30_000 };

function asked(prompt: string): number {
  return world.model.prompts.filter((each) => each === prompt).length;
}

test("a stream goes on after a cut where it was, and the turn runs once", limited, async () => {
  const gate = new Gate();
  world.model.on("Cut in the middle", ["one ", "two ", gate, "three"]);
  const stream = client.createSessionStreaming("Cut in the middle", { model: MODEL });
  let text = "";
  const types: string[] = [];
  for await (const event of stream) {
    types.push(event.type);
    if (event.type !== "text_delta") continue;
    text += event.delta;
    if (event.delta !== "two ") continue;
    proxy.cut();
    gate.open();
  }
  assert.equal(text, "one two three");
  assert.equal(types.filter((type) => type === "run_started").length, 1);
  assert.equal(types.at(-1), "run_completed");
  assert.equal(stream.result.text, "one two three");
  assert.equal(asked("Cut in the middle"), 1);
});

test("a daemon that restarts costs no request, not even one that must not be repeated", limited, async () => {
  world.model.on("Before the restart", ["ok"]);
  world.model.on("After the restart", ["still ok"]);
  const session = await client.createSession("Before the restart", { model: MODEL });
  const before = (await client.request("daemon/status", {})) as { restarts: number };
  await client.request("daemon/restart", {});
  let restarts = before.restarts;
  while (restarts === before.restarts) {
    restarts = ((await client.request("daemon/status", {})) as { restarts: number }).restarts;
  }
  assert.equal((await session.turn("After the restart")).text, "still ok");
  assert.equal(asked("After the restart"), 1);
});

test("a turn that ended while the connection was cut gives its events and its result", limited, async () => {
  const gate = new Gate();
  world.model.on("First of two", ["ok"]);
  world.model.on("Ends unseen", ["seen ", gate, "unseen"]);
  const session = await client.createSession("First of two", { model: MODEL });
  const stream = session.stream("Ends unseen");
  await gate.reached.fired;
  const watcher = await world.direct();
  const events = await watcher.subscribeSessionEvents(session.id, { until: "turn_end" });
  const ended = new Signal();
  proxy.held = ended.fired;
  proxy.cut();
  gate.open();
  const seen: string[] = [];
  for await (const { payload } of events) seen.push(payload.type);
  assert.equal(seen.at(-1), "run_completed");
  ended.fire();
  assert.deepEqual((await stream.collectText())[0], "seen unseen");
  assert.equal(asked("Ends unseen"), 1);
});

test("a request that never arrived is sent again, and one whose answer was lost does nothing twice", limited, async () => {
  world.model.on("Swallowed", ["here"]);
  proxy.swallows = true;
  const stream = client.createSessionStreaming("Swallowed", { model: MODEL });
  const plain = client.listSessions();
  await new Promise((resolve) => setImmediate(resolve));
  proxy.cut();
  proxy.swallows = false;
  assert.deepEqual((await stream.collectText())[0], "here");
  assert.ok((await plain).length > 0);
  assert.equal(asked("Swallowed"), 1);
});

test("a turn without a stream is re-attached to as well, and its signal still interrupts it", limited, async () => {
  const [first, second] = [new Gate(), new Gate()];
  world.model.on("Not streamed", ["a", first, "b"]);
  world.model.on("Abort after the cut", ["c", second]);
  const turn = client.createSession("Not streamed", { model: MODEL });
  await first.reached.fired;
  proxy.cut();
  first.open();
  const session = await turn;
  assert.equal(session.text, "ab");
  const controller = new AbortController();
  const aborted = session.turn("Abort after the cut", { signal: controller.signal });
  await second.reached.fired;
  proxy.cut();
  controller.abort();
  await assert.rejects(aborted, { code: "REQUEST_CANCELLED" });
  assert.equal(asked("Abort after the cut"), 1);
});

test("a subscription goes on after a cut without a gap", limited, async () => {
  const gate = new Gate();
  world.model.on("To be followed", ["ok"]);
  world.model.on("Followed", ["x", "y", gate, "z"]);
  const session = await client.createSession("To be followed", { model: MODEL });
  const subscription = await session.subscribeEvents();
  const other = await world.direct();
  const turn = other.request("turn/start", { sessionId: session.id, prompt: "Followed" });
  const numbers: number[] = [];
  let text = "";
  for await (const { seq, payload } of subscription) {
    numbers.push(seq);
    if (payload.type === "text_delta") text += payload.delta;
    if (payload.type === "text_delta" && payload.delta === "x") {
      proxy.cut();
      gate.open();
    }
    if (payload.type === "run_completed") break;
  }
  assert.equal(text, "xyz");
  assert.equal((await turn).text, "xyz");
  assert.deepEqual(numbers, numbers.map((_, place) => numbers[0]! + place));
});

test("tools are offered again on a new connection, in the same realm", limited, async () => {
  await client.registerTool("ping", "Answers pong.", { type: "object" }, () => "pong");
  proxy.cut();
  world.model.on("Use the tool", [{ tool: "ping", args: {} }], ["done"]);
  const session = await client.createSession("Use the tool", { model: MODEL });
  assert.equal(session.toolCalls, 1);
  assert.match(JSON.stringify((await session.history()).messages), /pong/);
  assert.equal(session.ref.split(":")[0], "tests");
});

test("a turn that the daemon did not live to end is lost, with its ledger, and is not run again", limited, async () => {
  const gate = new Gate();
  const running = new Signal();
  await client.registerTool("slow", "Never ends.", { type: "object" }, () => {
    running.fire();
    return new Promise<string>(() => undefined);
  });
  world.model.on("Lose me", ["let me see", { tool: "slow", args: { n: 1 } }], [gate]);
  const stream = client.createSessionStreaming("Lose me", { model: MODEL });
  const own = await daemonPid(client);
  const seen: string[] = [];
  await assert.rejects(
    async () => {
      for await (const event of stream) {
        seen.push(event.type);
        if (event.type !== "tool_execution_started") continue;
        await running.fired;
        // A new daemon is started where the client looks for one; the proxy leads to the old one's socket.
        process.env["MEERKAT_RUNTIME_DIR"] = `${world.root}/run`;
        world.kill(own);
      }
    },
    (error: unknown) => {
      assert.ok(error instanceof TurnLostError);
      assert.deepEqual(
        error.toolCalls.map(({ name, fate, arguments: args }) => [name, fate, args]),
        [["slow", "may_have_run", { n: 1 }]],
      );
      return true;
    },
  );
  assert.ok(!seen.includes("run_completed"));
  assert.equal(asked("Lose me"), 1);
  const next = await world.client();
  assert.notEqual(await daemonPid(next), own);
  world.model.on("Go on", ["going on"]);
  const result = await next.request("turn/start", { sessionId: stream.sessionId!, prompt: "Go on" });
  assert.equal(result.text, "going on");
});

async function daemonPid(of: MeerkatClient): Promise<number> {
  return (await of.request("daemon/status", {})).process.pid;
}
