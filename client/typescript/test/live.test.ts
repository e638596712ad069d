/** The client against a live daemon with a scripted model. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import {
  CapabilityUnavailableError,
  ConfigConflictError,
  MeerkatClient,
  MeerkatError,
  RequestCancelledError,
  SessionArchivedError,
  SessionBusyError,
  SessionNotFoundError,
  SessionNotRunningError,
  type EventPayload,
} from "../dist/index.js";
import { Gate, MODEL, World } from "./harness.js";

let world: World;
let client: MeerkatClient;

before(async () => {
  world = await World.make();
  client = await world.client();
});
after(() => world.close());

/** Ended by the test runner's own timeout, should something hang. */
const limited = { timeout: 30_000 };

test("a session keeps what was said in its turns", limited, async () => {
  world.model.on("Say hello", ["Hel", "lo"]);
  world.model.on("Again", ["Hello again"]);
  const session = await client.createSession("Say hello", { model: MODEL, labels: { made_by: "a test" } });
  assert.equal(session.text, "Hello");
  assert.equal(session.ref, `tests:${session.id}`);
  assert.equal(session.usage.totalTokens, 8);
  const second = await session.turn("Again");
  assert.equal(second.text, "Hello again");
  assert.deepEqual([session.lastResult, session.turns, session.toolCalls], [second, 1, 0]);
  const { messages, messageCount } = await session.history({ offset: 1, limit: 2 });
  assert.deepEqual([messageCount, messages.map((message) => message.role)], [4, ["block_assistant", "user"]]);
  const [row] = await client.listSessions({ labels: { made_by: "a test" } });
  assert.equal(row?.sessionId, session.id);
  assert.equal((await client.readSession("last")).messageCount, 4);
  assert.equal((await client.readSessionHistory(session.id)).messages.length, 4);
});

test("a new session can be followed from its first event", limited, async () => {
  world.model.on("Stream this", ["one ", "two"]);
  const stream = client.createSessionStreaming("Stream this", { model: MODEL });
  const types: string[] = [];
  for await (const event of stream) types.push(event.type);
  assert.equal(types[0], "run_started");
  assert.equal(types.at(-1), "run_completed");
  assert.equal(stream.result.text, "one two");
  assert.equal(stream.sessionId, stream.result.sessionId);
  assert.equal(stream.cursor, stream.result.cursor);
});

test("sessions that are created at once each get their own events", limited, async () => {
  const names = ["a", "b", "c", "d"];
  for (const name of names) world.model.on(`Answer ${name}`, [`it is `, name]);
  const streams = names.map((name) => client.createSessionStreaming(`Answer ${name}`, { model: MODEL }));
  const texts = await Promise.all(streams.map(async (stream) => (await stream.collectText())[0]));
  assert.deepEqual(texts, names.map((name) => `it is ${name}`));
  assert.equal(new Set(streams.map((stream) => stream.sessionId)).size, names.length);
});

test("a second turn is refused at once and does not disturb the first one's stream", limited, async () => {
  const gate = new Gate();
  world.model.on("Begin", ["ok"]);
  world.model.on("Long", ["first ", gate, "last"]);
  const session = await client.createSession("Begin", { model: MODEL });
  const stream = session.stream("Long");
  await gate.reached.fired;
  const refused = session.stream("Other");
  await assert.rejects(refused.collect(), (error: unknown) => {
    assert.ok(error instanceof SessionBusyError);
    assert.equal(error.details["client"], "meerkat-client");
    return error.retryable;
  });
  gate.open();
  assert.deepEqual((await stream.collectText())[0], "first last");
});

test("aborting a signal interrupts the turn and keeps what was produced", limited, async () => {
  const gate = new Gate();
  world.model.on("Abort me", ["half an answer", gate]);
  const controller = new AbortController();
  const stream = client.createSessionStreaming("Abort me", { model: MODEL, signal: controller.signal });
  const seen: EventPayload[] = [];
  await assert.rejects(async () => {
    for await (const event of stream) {
      seen.push(event);
      if (event.type === "text_delta") controller.abort();
    }
  }, RequestCancelledError);
  assert.equal(seen.at(-1)?.type, "run_failed");
  const { messages } = await client.readSessionHistory(stream.sessionId!);
  assert.match(JSON.stringify(messages), /half an answer/);
});

test("a signal that is aborted already sends nothing", limited, async () => {
  const count = world.model.prompts.length;
  const signal = AbortSignal.abort();
  await assert.rejects(client.createSession("Never", { model: MODEL, signal }), RequestCancelledError);
  assert.equal(world.model.prompts.length, count);
});

test("another client can follow a turn and interrupt it", limited, async () => {
  const gate = new Gate();
  world.model.on("Watch me", ["some ", "words", gate]);
  const stream = client.createSessionStreaming("Watch me", { model: MODEL });
  await gate.reached.fired;
  const other = await world.client();
  const subscription = await other.subscribeSessionEvents("last", { until: "turn_end" });
  const [session] = await other.listSessions({ limit: 1 });
  const interrupted = other.request("turn/interrupt", { sessionId: session!.sessionId });
  let last: EventPayload | undefined;
  let text = "";
  for await (const { payload } of subscription) {
    if (payload.type === "text_delta") text += payload.delta;
    last = payload;
  }
  assert.deepEqual([text, last?.type], ["some words", "run_failed"]);
  assert.deepEqual([subscription.isClosed, subscription.terminalOutcome], [true, "remote_end"]);
  assert.equal((await interrupted).outcome, "interrupted");
  await assert.rejects(stream.collect(), RequestCancelledError);
  const idle = other.request("turn/interrupt", { sessionId: session!.sessionId });
  await assert.rejects(idle, SessionNotRunningError);
});

test("a subscription ends when it is closed, and when its loop is left", limited, async () => {
  world.model.on("Events please", ["x"], ["y"]);
  const session = await client.createSession("Events please", { model: MODEL });
  const subscription = await session.subscribeEvents({ cursor: 0 });
  for await (const envelope of subscription) {
    assert.equal(envelope.payload.type, "run_started");
    break;
  }
  assert.equal(subscription.terminalOutcome, "explicit_close");
  const second = await session.subscribeEvents();
  await second.close();
  await second.close();
  assert.deepEqual(await second[Symbol.asyncIterator]().next(), { value: undefined, done: true });
});

test("a registered tool is carried out here, and what it throws is told to the model", limited, async () => {
  const calls: unknown[] = [];
  const schema = { type: "object", properties: { item_name: { type: "string" } } };
  await client.registerTool("stock", "How many are there.", schema, async (args, { toolUseId }) => {
    calls.push([args, toolUseId]);
    return "42";
  });
  await client.registerTool("broken", "Fails.", { type: "object" }, () => {
    throw new Error("out of order");
  });
  const twice = [{ tool: "stock", args: { item_name: "blue_widget" } }];
  world.model.on("How many?", twice, [{ tool: "broken", args: {} }], ["There are 42."]);
  const session = await client.createSession("How many?", { model: MODEL });
  assert.equal(session.text, "There are 42.");
  assert.equal(session.toolCalls, 2);
  assert.deepEqual(calls, [[{ item_name: "blue_widget" }, "call_1"]]);
  assert.deepEqual(world.model.tools.at(-1)?.sort(), ["broken", "stock"]);
  const history = JSON.stringify((await session.history()).messages);
  assert.match(history, /out of order/);
  assert.match(history, /"item_name":"blue_widget"/);
});

test("a deferred session waits for its first turn, which can be followed", limited, async () => {
  world.model.on("go", ["done"]);
  const deferred = await client.createDeferredSession("now", { model: MODEL });
  assert.equal((await deferred.history()).messageCount, 0);
  const stream = deferred.stream("go");
  const [text, result] = await stream.collectText();
  assert.deepEqual([text, result.text, result.sessionId], ["done", "done", deferred.id]);
});

test("a config is written by those only who know its generation", limited, async () => {
  const first = await client.getConfig();
  const written = await client.patchConfig({ agent: { max_tokens_per_turn: 100 } }, { expectedGeneration: first.generation });
  assert.equal(written.generation, first.generation + 1);
  const stale = client.setConfig({}, { expectedGeneration: first.generation });
  await assert.rejects(stale, ConfigConflictError);
  const replaced = await client.setConfig({}, { expectedGeneration: written.generation });
  assert.deepEqual([replaced.config, replaced.realmId], [{}, "tests"]);
});

test("context is added once, however often it is sent with the same key", limited, async () => {
  world.model.on("Context", ["yes"]);
  const session = await client.createSession("Context", { model: MODEL });
  const options = { source: "a test", idempotencyKey: "key-1" };
  assert.equal((await session.injectContext("remember this", options)).status, "applied");
  assert.equal((await client.injectContext(session.id, "remember this", options)).status, "duplicate");
});

test("an event from outside is told once, however often it is sent with the same key", limited, async () => {
  world.model.on("Events", ["yes"]);
  const session = await client.createSession("Events", { model: MODEL });
  const options = { idempotencyKey: "event-1", blocks: [{ type: "text" as const, text: "Look." }] };
  const told = await session.sendExternalEvent("build.finished", { was_ok: true }, options);
  assert.deepEqual([told.outcomeType, told.status], ["accepted", "applied"]);
  const again = await client.sendExternalEvent(session.id, "build.finished", { was_ok: true }, options);
  assert.deepEqual([again.outcomeType, again.existingId], ["deduplicated", told.inputId]);
  const notice = (await session.history()).messages.at(-1);
  assert.ok(notice?.role === "system_notice");
  assert.deepEqual(notice.blocks?.[0]?.payload, { was_ok: true });
  assert.deepEqual([notice.blocks?.[0]?.eventType, notice.blocks?.[0]?.source], ["build.finished", "sdk"]);
});

test("an archived session keeps its history and takes no turns", limited, async () => {
  world.model.on("Archive me", ["bye"]);
  const session = await client.createSession("Archive me", { model: MODEL });
  await session.archive();
  await assert.rejects(session.turn("more"), SessionArchivedError);
  assert.equal((await session.history()).messageCount, 2);
  assert.equal((await session.read()).archived, true);
});

test("errors have a code, a hint and the class of their code", limited, async () => {
  await assert.rejects(client.readSession("ffff0000"), (error: unknown) => {
    assert.ok(error instanceof SessionNotFoundError && error instanceof MeerkatError);
    assert.equal(error.name, "SessionNotFoundError");
    return error.code === "SESSION_NOT_FOUND" && error.hint.length > 0;
  });
  await assert.rejects(client.createSession("No answer is scripted", { model: MODEL }), (error: unknown) => {
    return error instanceof MeerkatError && error.code === "PROVIDER_ERROR" && "session_id" in error.details;
  });
});

test("capabilities and models are told", limited, async () => {
  assert.ok(client.hasCapability("sessions"));
  assert.throws(() => client.requireCapability("mobs"), CapabilityUnavailableError);
  const { providers } = await client.getModelsCatalog();
  assert.ok(providers.find(({ provider }) => provider === "openai")?.configured);
  await assert.rejects(client.getBlob(`sha256:${"0".repeat(64)}`), (error: unknown) => {
    return error instanceof MeerkatError && error.code === "BLOB_NOT_FOUND";
  });
});

test("a client that is not connected, or not any more, says so", limited, async () => {
  const fresh = new MeerkatClient();
  assert.throws(() => fresh.info, MeerkatError);
  const gone = await world.client();
  await gone.close();
  await assert.rejects(gone.listSessions(), (error: unknown) => {
    return error instanceof MeerkatError && error.code === "DAEMON_UNAVAILABLE" && !error.retryable;
  });
});
