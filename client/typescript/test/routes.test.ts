/** Which reader an event is for, and the queue between who pushes and who iterates. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Queue } from "../dist/queue.js";
import { Routes, type TurnReader } from "../dist/routes.js";
import type { EventEnvelope, EventPayload } from "../dist/index.js";

class Reader implements TurnReader {
  runId: string | undefined;
  readonly got: number[] = [];

  constructor(public sessionId: string | undefined) {}

  accept(envelope: EventEnvelope): void {
    this.got.push(envelope.seq);
  }
}

function started(runId: string): EventPayload {
  return { type: "run_started", sessionId: "s", input: { kind: "content", content: "" }, identity: { runId } };
}

function deliver(routes: Routes, sessionId: string, seq: number, payload?: EventPayload): void {
  const event = { seq, payload: payload ?? { type: "text_delta", delta: "x" } };
  routes.deliver("session/event", { sessionId, event });
}

test("a turn that waits takes no events of the one that runs, and takes over when its own begins", () => {
  const routes = new Routes();
  const [first, second] = [new Reader("s"), new Reader("s")];
  const removeFirst = routes.addTurn(first);
  routes.addTurn(second);
  deliver(routes, "s", 1, started("one"));
  deliver(routes, "s", 2);
  deliver(routes, "s", 3, started("two"));
  deliver(routes, "s", 4);
  removeFirst();
  deliver(routes, "s", 5);
  assert.deepEqual([first.got, second.got], [[1, 2], [3, 4, 5]]);
});

test("an event of an unknown session is that of the create in flight", () => {
  const routes = new Routes();
  const [known, create] = [new Reader("s"), new Reader(undefined)];
  routes.addTurn(known);
  routes.addTurn(create);
  deliver(routes, "new", 1, started("one"));
  deliver(routes, "new", 2);
  assert.deepEqual([known.got, create.got, create.sessionId], [[], [1, 2], "new"]);
});

test("events that nobody waits for any more are dropped", () => {
  const routes = new Routes();
  const reader = new Reader("s");
  routes.addTurn(reader)();
  deliver(routes, "s", 1, started("one"));
  routes.deliver("session/stream_event", { streamId: "gone", event: {} });
  routes.deliver("session/stream_end", { streamId: "gone", outcome: "remote_end" });
  assert.deepEqual(reader.got, []);
});

test("a queue gives what was pushed before its end, and an error once", async () => {
  const queue = new Queue<number>();
  const early = queue.next();
  queue.push(1);
  queue.push(2);
  queue.fail(new Error("over"));
  queue.push(3);
  assert.deepEqual(await early, { value: 1, done: false });
  assert.deepEqual(await queue.next(), { value: 2, done: false });
  await assert.rejects(queue.next(), /over/);
  assert.deepEqual(await queue.next(), { value: undefined, done: true });
});

test("whoever waits on a queue gets its error, and the others its end", async () => {
  const queue = new Queue<number>();
  const [first, second] = [queue.next(), queue.next()];
  queue.fail(new Error("over"));
  await assert.rejects(first, /over/);
  assert.deepEqual(await second, { value: undefined, done: true });
});
