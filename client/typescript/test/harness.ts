/** A live daemon in a home of its own, a scripted model for it, and a proxy that can cut the connection to it. */

import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttpServer, type ServerResponse } from "node:http";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { MeerkatClient, type ConnectOptions } from "../dist/index.js";
import { places } from "../dist/paths.js";

export const MODEL = "openai/gpt-stand-in";

/** Something that a test waits for. */
export class Signal {
  fire = (): void => undefined;
  readonly fired = new Promise<void>((resolve) => {
    this.fire = resolve;
  });
}

/** A place in an answer at which the model waits. */
export class Gate {
  readonly reached = new Signal();
  readonly #opened = new Signal();

  open(): void {
    this.#opened.fire();
  }

  async wait(): Promise<void> {
    this.reached.fire();
    await this.#opened.fired;
  }
}

export interface ToolCall {
  tool: string;
  args: Record<string, unknown>;
}

type Step = string | Gate | ToolCall;

/** Speaks OpenAI's chat completions: plays the answer that a test wrote for the prompt. */
export class ModelServer {
  readonly prompts: string[] = [];
  readonly tools: string[][] = [];
  readonly #answers = new Map<string, Step[][]>();
  readonly #gates: Gate[] = [];
  readonly #server = createHttpServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => void this.#answer(JSON.parse(Buffer.concat(chunks).toString()), response));
  });

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  /** What is answered to `prompt`, one list of steps for each call of the model. */
  on(prompt: string, ...answers: Step[][]): void {
    this.#answers.set(prompt, answers);
    for (const step of answers.flat()) if (step instanceof Gate) this.#gates.push(step);
  }

  close(): void {
    for (const gate of this.#gates) gate.open();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: any, response: ServerResponse): Promise<void> {
    // Notices of what happened before stand in front of what the user said.
    const said: string = request.messages.filter((message: any) => message.role === "user").at(-1).content;
    const prompt = said.slice(said.lastIndexOf("\n") + 1);
    this.prompts.push(prompt);
    this.tools.push((request.tools ?? []).map((tool: any) => tool.function.name));
    const steps = this.#answers.get(prompt)?.shift();
    if (steps === undefined) {
      response.writeHead(400, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { message: `no answer to ${prompt}` } }));
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    const say = (value: unknown): void => void response.write(`data: ${JSON.stringify(value)}\n\n`);
    const choice = (delta: unknown, finish: string | null = null): void =>
      say({ id: "1", choices: [{ index: 0, delta, finish_reason: finish }] });
    let finish = "stop";
    for (const step of steps) {
      if (typeof step === "string") choice({ content: step });
      else if (step instanceof Gate) await step.wait();
      else {
        const call = { name: step.tool, arguments: JSON.stringify(step.args) };
        choice({ tool_calls: [{ index: 0, id: "call_1", type: "function", function: call }] });
        finish = "tool_calls";
      }
    }
    choice({}, finish);
    say({ id: "1", choices: [], usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 } });
    response.end("data: [DONE]\n\n");
  }
}

/** A home of its own; the daemon in it is started by the first client. */
export class World {
  readonly root = mkdtempSync(join(tmpdir(), "mk-ts-"));
  readonly model = new ModelServer();
  readonly #clients: MeerkatClient[] = [];
  readonly #daemons = new Set<number>();
  #proxy: Proxy | undefined;

  static async make(): Promise<World> {
    const world = new World();
    process.env["HOME"] = world.root;
    process.env["MEERKAT_STATE_ROOT"] = join(world.root, "state");
    process.env["MEERKAT_RUNTIME_DIR"] = join(world.root, "run");
    process.env["MEERKAT_USER_CONFIG"] = join(world.root, "config.toml");
    await world.model.listen();
    process.env["OPENAI_API_KEY"] = "sk-test";
    process.env["OPENAI_BASE_URL"] = world.model.baseUrl;
    return world;
  }

  /** A connected client, closed in the end. */
  async client(options: ConnectOptions = {}): Promise<MeerkatClient> {
    const client = await new MeerkatClient().connect({ realmId: "tests", ...options });
    this.#clients.push(client);
    this.#daemons.add(client.info.pid);
    return client;
  }

  /** A client that has been closed. */
  forget(client: MeerkatClient): void {
    this.#clients.splice(this.#clients.indexOf(client), 1);
  }

  /** From now on new connections come through a proxy that can cut them. */
  async proxy(): Promise<Proxy> {
    const target = places().socketPath;
    process.env["MEERKAT_RUNTIME_DIR"] = join(this.root, "proxied");
    this.#proxy = new Proxy(target);
    await this.#proxy.listen(places().socketPath);
    return this.#proxy;
  }

  /** A client whose connection cannot be cut. */
  async direct(): Promise<MeerkatClient> {
    const proxied = process.env["MEERKAT_RUNTIME_DIR"];
    process.env["MEERKAT_RUNTIME_DIR"] = join(this.root, "run");
    try {
      return await this.client();
    } finally {
      process.env["MEERKAT_RUNTIME_DIR"] = proxied;
    }
  }

  /** End a daemon as a power cut would. */
  kill(pid: number): void {
    process.kill(pid, "SIGKILL");
  }

  async close(): Promise<void> {
    for (const client of this.#clients) {
      await client.close();
    }
    // Also one that was started in the place of a killed one.
    this.#daemons.add(JSON.parse(readFileSync(places().lockPath, "utf8")).pid);
    for (const pid of this.#daemons) if (isRunning(pid)) this.kill(pid);
    this.#proxy?.close();
    this.model.close();
    // A process that is killed may still be writing for a moment.
    rmSync(this.root, { recursive: true, maxRetries: 10, retryDelay: 20 });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Passes bytes on, until it is told to cut. */
export class Proxy {
  /** Drop what clients send: as if the connection broke before it arrived. */
  swallows = false;
  /** New connections wait for it. */
  held: Promise<void> = Promise.resolve();
  readonly #pairs = new Set<Socket>();
  readonly #target: string;
  readonly #server = createServer((client) => void this.#join(client));

  constructor(target: string) {
    this.#target = target;
  }

  async listen(path: string): Promise<void> {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    await new Promise<void>((resolve) => this.#server.listen(path, resolve));
    chmodSync(path, 0o600);
  }

  /** Break every connection. */
  cut(): void {
    for (const socket of this.#pairs) socket.destroy();
    this.#pairs.clear();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  async #join(client: Socket): Promise<void> {
    await this.held;
    const daemon = connect(this.#target);
    for (const [one, other] of [[client, daemon], [daemon, client]] as const) {
      this.#pairs.add(one);
      one.on("data", (data) => {
        if (one !== client || !this.swallows) other.write(data);
      });
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  }
}
