/** The client as browsers have it: bundled without a module of Node, through the daemon's door on loopback TCP. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import { WebSocket } from "ws";

import { MeerkatClient } from "../dist/browser.js";
import { DaemonUnavailableError, MeerkatError, MeerkatClient as NodeClient, type WebSocketClass } from "../dist/index.js";
import { Gate, MODEL, World } from "./harness.js";

const PAGE = "http://localhost:5173";
const limited = { timeout: 30_000 };

/** As a page of that origin would connect. */
function pageOf(origin: string): WebSocketClass {
  return class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols, { origin });
    }
  } as unknown as WebSocketClass;
}

let world: World;
let opener: NodeClient;
let url: string;
let token: string;
const webSocket = pageOf(PAGE);

before(async () => {
  world = await World.make();
  opener = await world.client();
  const door = await opener.request("daemon/listen", { address: "127.0.0.1:0", origins: [PAGE] });
  url = door.url;
  token = readFileSync(door.tokenPath, "utf8").trim();
});
after(() => world.close());

async function page(realmId = "tests"): Promise<MeerkatClient> {
  const credentials = { openai: { apiKey: "sk-test", baseUrl: world.model.baseUrl } };
  return new MeerkatClient().connectWebSocket({ url, token, webSocket, realmId, credentials });
}

test("a page runs a turn, follows it, and offers a tool", limited, async () => {
  world.model.on("Hello from a page", ["Hel", "lo"]);
  const client = await page();
  const stream = client.createSessionStreaming("Hello from a page", { model: MODEL });
  const types: string[] = [];
  for await (const event of stream) types.push(event.type);
  assert.deepEqual([types[0], types.at(-1), stream.result.text], ["run_started", "run_completed", "Hello"]);
  await client.registerTool("look", "Looks.", { type: "object" }, async () => "a meerkat");
  world.model.on("What is there?", [{ tool: "look", args: {} }], ["A meerkat, é."]);
  const session = await client.createSession("What is there?", { model: MODEL });
  assert.deepEqual([session.text, session.toolCalls], ["A meerkat, é.", 1]);
  assert.equal((await opener.readSession(session.id)).messageCount, 4);
  await client.close();
});

test("a page and a program share a session, and one turn at a time", limited, async () => {
  const gate = new Gate();
  world.model.on("Busy", ["ok"]);
  world.model.on("Wait", ["first ", gate, "last"]);
  const session = await opener.createSession("Busy", { model: MODEL });
  const stream = session.stream("Wait");
  await gate.reached.fired;
  const client = await page();
  await assert.rejects(client.request("turn/start", { sessionId: session.id, prompt: "me too" }), (error: unknown) => {
    return error instanceof MeerkatError && error.code === "SESSION_BUSY";
  });
  const events = await client.subscribeSessionEvents(session.id, { until: "turn_end" });
  gate.open();
  let text = "";
  for await (const { payload } of events) if (payload.type === "text_delta") text += payload.delta;
  assert.equal(text, "first last");
  assert.equal((await stream.collect()).text, "first last");
  await client.close();
});

test("without the token, or from another origin, nobody is let in", limited, async () => {
  for (const [wrong, from] of [["x".repeat(43), PAGE], [token, "http://evil.example"]] as const) {
    const refused = new MeerkatClient().connectWebSocket({ url, token: wrong, webSocket: pageOf(from), realmId: "tests" });
    await assert.rejects(refused, (error: unknown) => {
      assert.ok(error instanceof DaemonUnavailableError);
      assert.ok(!String(error.stack).includes(wrong === token ? token : wrong), "no token in an error");
      return true;
    });
  }
});

test("what is not for pages is refused by its field, and what is too large before it is sent", limited, async () => {
  const client = await page();
  await assert.rejects(client.patchConfig({ providers: {} }), (error: unknown) => {
    return error instanceof MeerkatError && error.code === "PERMISSION_DENIED" && error.details["field"] === "patch.providers";
  });
  await assert.rejects(client.request("session/inject_context", { sessionId: "last", text: "x".repeat(2 ** 20) }), {
    code: "REQUEST_TOO_LARGE",
  });
  await assert.rejects(client.request("session/inject_context", { sessionId: "last", text: "\ud800" }), {
    code: "INVALID_PARAMS",
  });
  assert.ok(Array.isArray(await client.listSessions()));
  await client.close();
});

test("a door that is closed puts the page out, and the next request says so", limited, async () => {
  const other = await world.client();
  const door = await other.request("daemon/listen", { origins: [PAGE] });
  const mine = { url: door.url, token: readFileSync(door.tokenPath, "utf8") };
  const client = await new MeerkatClient().connectWebSocket({ ...mine, webSocket, realmId: "tests" });
  const events = await client.subscribeSessionEvents("last");
  await other.close();
  await assert.rejects(async () => {
    for await (const _ of events);
  }, DaemonUnavailableError);
  await assert.rejects(client.listSessions(), DaemonUnavailableError);
});

test("the bundle for browsers has no module of Node and nothing that only Node has", limited, async () => {
  const source = 'import { MeerkatClient } from "meerkat-client"; globalThis.MeerkatClient = MeerkatClient;';
  const here = fileURLToPath(new URL("..", import.meta.url));
  const bundled = await build({
    stdin: { contents: source, resolveDir: here, loader: "js" },
    bundle: true,
    platform: "browser",
    format: "iife",
    write: false,
    metafile: true,
  });
  const inputs = Object.keys(bundled.metafile.inputs);
  assert.ok(inputs.some((path) => path.endsWith("dist/client.js")));
  assert.ok(!inputs.some((path) => /dist\/(dial|paths|node|socket|framing)\.js$/.test(path)));
  const text = bundled.outputFiles[0]!.text;
  assert.doesNotMatch(text, /node:|\brequire\(|\bprocess\.|\bBuffer\b/);
});
