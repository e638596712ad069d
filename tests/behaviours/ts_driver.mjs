/**
 * Clients of the TypeScript SDK, driven from outside: `node ts_driver.mjs dist/index.js SOCKET`.
 *
 * Each connection to the socket is a client. A line is a request `{id, method, params}` with the names of the SDK, to be
 * answered by its own methods; those that it has none for are asked by `request`, which every client has. What it
 * follows and what it is asked come as lines too. One process serves all tests of a run and ends with its stdin: a
 * process for each client would cost more than everything else.
 */

import { createServer } from "node:net";
import { createInterface } from "node:readline";

const [dist, path] = process.argv.slice(2);
const { MeerkatClient, MeerkatError } = await import(dist);

class Door {
  client = new MeerkatClient();
  #stream;
  #running = new Map();
  #questions = new Map();
  #subscriptions = new Map();

  constructor(stream) {
    this.#stream = stream;
    stream.on("close", () => void this.client.close());
    // Whoever leaves with something unread breaks the stream. The reader of lines is told of it too.
    stream.on("error", () => stream.destroy());
    const lines = createInterface({ input: stream });
    lines.on("error", () => stream.destroy()).on("line", (line) => this.#take(JSON.parse(line)));
  }

  tell(message) {
    if (!this.#stream.destroyed) this.#stream.write(`${JSON.stringify(message)}\n`);
  }

  #take({ id, method, params, result }) {
    if (method === undefined) this.#questions.get(id)(result);
    else if (method === "cancel") this.#running.get(params.requestId)?.abort();
    else void this.#ask(id, method, params);
  }

  async #ask(id, method, params) {
    const controller = new AbortController();
    this.#running.set(id, controller);
    let next;
    const call = { door: this, client: this.client, signal: controller.signal, then: (step) => (next = step) };
    try {
      const ask = ASKS[method] ?? ((p) => this.client.request(method, p));
      this.tell({ id, result: await ask(params, call) });
    } catch (error) {
      this.tell({ id, error: told(error) });
    }
    this.#running.delete(id);
    await next?.();
  }

  /** Whoever drives us is asked to carry out a tool. */
  execute(name, args, { toolUseId }) {
    return new Promise((resolve) => {
      const id = `tool-${this.#questions.size}`;
      this.#questions.set(id, ({ content }) => resolve(content));
      this.tell({ id, method: "tool/execute", params: { toolUseId, name, arguments: args } });
    });
  }

  /** A turn's events, and then its result. */
  async follow(stream) {
    for await (const payload of stream) {
      this.tell({ method: "session/event", params: { sessionId: stream.sessionId, event: { payload } } });
    }
    return stream.result;
  }

  subscribed(subscription) {
    this.#subscriptions.set(subscription.id, subscription);
  }

  subscription(streamId) {
    return this.#subscriptions.get(streamId);
  }

  async relay(subscription) {
    const streamId = subscription.id;
    let sequence = 0;
    try {
      for await (const event of subscription) {
        sequence += 1;
        this.tell({ method: "session/stream_event", params: { streamId, sequence, event } });
      }
    } catch (error) {
      // Nobody can be asked any more; the outcome says so.
      if (!(error instanceof MeerkatError)) throw error;
    }
    this.tell({ method: "session/stream_end", params: { streamId, outcome: subscription.terminalOutcome } });
  }
}

function told(error) {
  if (!(error instanceof MeerkatError)) {
    const what = String(error?.stack ?? error);
    return { code: 0, message: what, data: { code: "NOT_A_MEERKAT_ERROR", message: what, details: {} } };
  }
  const { code, message, rpcCode, hint, retryable } = error;
  return { code: rpcCode, message, data: { code, message, details: { ...error.details, hint, retryable } } };
}

async function create({ prompt, initialTurn, sessionEvents, ...options }, { client, door, signal }) {
  if (initialTurn === "deferred") {
    const deferred = await client.createDeferredSession(prompt, options);
    return { sessionId: deferred.id, sessionRef: deferred.ref };
  }
  if (sessionEvents === false) return (await client.createSession(prompt, { ...options, signal })).lastResult;
  return door.follow(client.createSessionStreaming(prompt, { ...options, signal }));
}

function turn({ sessionId, prompt, sessionEvents, ...options }, { client, door, signal }) {
  const session = client.session(sessionId);
  if (sessionEvents === false) return session.turn(prompt, { ...options, signal });
  return door.follow(session.stream(prompt, { ...options, signal }));
}

function inject({ sessionId, content, text, ...options }, { client }) {
  if ((content === undefined) === (text === undefined)) {
    return client.request("session/inject_context", { sessionId, content, text, ...options });
  }
  return client.injectContext(sessionId, text ?? content.text, options);
}

function tell({ sessionId, eventType, payload, kind = "generic_json", ...options }, { client }) {
  if (eventType && payload !== undefined && kind === "generic_json") {
    return client.sendExternalEvent(sessionId, eventType, payload, options);
  }
  return client.request("session/external_event", { sessionId, eventType, payload, kind, ...options });
}

async function open({ sessionId, ...options }, { client, door, then }) {
  const subscription = await client.subscribeSessionEvents(sessionId, options);
  door.subscribed(subscription);
  then(() => door.relay(subscription));
  return { streamId: subscription.id, cursor: subscription.cursor };
}

async function close({ streamId }, { client, door }) {
  const subscription = door.subscription(streamId);
  if (subscription === undefined) return client.request("session/stream_close", { streamId });
  const alreadyClosed = subscription.isClosed;
  await subscription.close();
  return { streamId, closed: true, alreadyClosed };
}

async function register({ tools }, { client, door }) {
  for (const { name, description, inputSchema } of tools) {
    await client.registerTool(name, description, inputSchema, (args, call) => door.execute(name, args, call));
  }
  return { registered: tools.length };
}

const isEmpty = (options) => Object.keys(options).length === 0;

const ASKS = {
  initialize: async (options, { client }) => (await client.connect({ ...options, start: false })).info,
  "approval/decide": ({ approvalId, decision, ...options }, { client }) =>
    client.decideApproval(approvalId, decision, options),
  "approval/get": ({ approvalId }, { client }) => client.getApproval(approvalId),
  "approval/list": async (options, { client }) => ({ approvals: await client.listApprovals(options) }),
  "blob/get": ({ blobId }, { client }) => client.getBlob(blobId),
  "config/get": (options, { client }) => (isEmpty(options) ? client.getConfig() : client.request("config/get", options)),
  "config/patch": (params, { client }) => {
    const { patch, ...options } = params;
    return patch === undefined ? client.request("config/patch", params) : client.patchConfig(patch, options);
  },
  "config/set": (params, { client }) => {
    const { config, ...options } = params;
    return config === undefined ? client.request("config/set", params) : client.setConfig(config, options);
  },
  "models/catalog": (_, { client }) => client.getModelsCatalog(),
  "session/archive": async ({ sessionId }, { client }) => {
    await client.session(sessionId).archive();
    return { sessionId, archived: true };
  },
  "session/compact": ({ sessionId, ...options }, { client }) => client.session(sessionId).compact(options),
  "session/create": create,
  "session/external_event": tell,
  "session/fork_at": ({ sessionId, messageIndex, ...options }, { client }) =>
    client.session(sessionId).forkAt(messageIndex, options),
  "session/history": ({ sessionId, ...options }, { client }) => client.readSessionHistory(sessionId, options),
  "session/inject_context": inject,
  "session/label": async ({ sessionId, labels }, { client }) => ({
    labels: await client.session(sessionId).label(labels),
  }),
  "session/list": async (options, { client }) => ({ sessions: await client.listSessions(options) }),
  "session/read": ({ sessionId }, { client }) => client.readSession(sessionId),
  "session/stream_close": close,
  "session/stream_open": open,
  "session/unarchive": async ({ sessionId }, { client }) => {
    await client.session(sessionId).unarchive();
    return { sessionId, archived: false };
  },
  "tools/register": register,
  "turn/interrupt": ({ sessionId }, { client }) => client.session(sessionId).interrupt(),
  "turn/start": turn,
  "usage/read": (options, { client }) => client.readUsage(options),
};

createServer((stream) => new Door(stream)).listen(path, () => process.stdout.write("READY\n"));
process.stdin.on("end", () => process.exit(0)).resume();
