/** Many clients in one program, and one program that connects many times. */

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, test } from "node:test";

import type { MeerkatClient } from "../dist/index.js";
import { World } from "./harness.js";

const CLIENTS = 100;
const CYCLES = 1000;
/** What a thousand cycles may add after the first ones; the heap is collected before it is looked at. */
const GROWTH_BYTES = 4 * 1024 * 1024;
const limited = { timeout: 120_000 };

let world: World;
let first: MeerkatClient;

before(async () => {
  world = await World.make();
  first = await world.client();
});
after(() => world.close());

test("a hundred clients of one realm see the same list", limited, async () => {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => world.client()));
  await Promise.all(clients.map((client) => client.createDeferredSession("later", { model: "openai/gpt-stand-in" })));
  const lists = await Promise.all(
    clients.map(async (client) => (await client.listSessions({ limit: 1000 })).map((row) => row.sessionId)),
  );
  assert.equal(lists[0]!.length, CLIENTS);
  for (const list of lists) assert.deepEqual(list, lists[0]);
  await Promise.all(clients.map((client) => client.close()));
});

test("connecting and closing a thousand times leaves nothing behind", limited, async () => {
  async function cycle(count: number): Promise<void> {
    for (let done = 0; done < count; done += 1) {
      const client = await world.client();
      await client.listSessions({ limit: 1 });
      await client.close();
      world.forget(client);
    }
  }
  const openFiles = (): number => (process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0);
  await cycle(CYCLES / 10);
  await first.listSessions();
  const [files, heap] = [openFiles(), usedHeap()];
  await cycle(CYCLES);
  await first.listSessions();
  assert.ok(openFiles() <= files, `${openFiles()} descriptors instead of ${files}`);
  assert.ok(usedHeap() - heap < GROWTH_BYTES, `the heap grew by ${usedHeap() - heap} bytes`);
});

function usedHeap(): number {
  assert.ok(globalThis.gc, "run by node --expose-gc");
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}
