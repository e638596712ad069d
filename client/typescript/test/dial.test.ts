/** Finding the daemon, starting it, and whom not to trust. */

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createServer } from "node:net";
import { after, before, test } from "node:test";

import { command, dial, isKept } from "../dist/dial.js";
import { MeerkatClient, MeerkatError } from "../dist/index.js";
import { credentialsOf } from "../dist/link.js";
import { MAX_SOCKET_PATH, places } from "../dist/paths.js";
import { World } from "./harness.js";

let world: World;
let scratch: string;
const limited = { timeout: 30_000 };

before(async () => {
  world = await World.make();
  scratch = mkdtempSync(join(tmpdir(), "mk-dial-"));
});
after(async () => {
  await world.close();
  rmSync(scratch, { recursive: true });
});

function withCode(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof MeerkatError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}

/** An environment with folders of its own below `name`. */
function environ(name: string, more: Record<string, string> = {}): Record<string, string> {
  const base = join(scratch, name);
  mkdirSync(base);
  return { HOME: base, MEERKAT_RUNTIME_DIR: join(base, "run"), PATH: process.env["PATH"]!, ...more };
}

/** A program that stands for the daemon and says one thing. */
function program(name: string, script: string): Record<string, string> {
  const path = join(scratch, `${name}.sh`);
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  return { MEERKAT_DAEMON: path };
}

test("clients that are cold together end up with one daemon", limited, async () => {
  const clients = await Promise.all(["a", "b", "c"].map((realmId) => world.client({ realmId })));
  assert.equal(new Set(clients.map((client) => client.info.pid)).size, 1);
});

test("a socket whose path is longer than an address is reached all the same", limited, async () => {
  const kept = process.env["MEERKAT_RUNTIME_DIR"];
  process.env["MEERKAT_RUNTIME_DIR"] = join(world.root, "x".repeat(MAX_SOCKET_PATH));
  try {
    const client = await world.client({ stateRoot: join(world.root, "long") });
    assert.equal((await client.listSessions()).length, 0);
    await client.request("daemon/stop", {});
  } finally {
    process.env["MEERKAT_RUNTIME_DIR"] = kept;
  }
});

test("without leave to start one, a daemon that does not run is unavailable", limited, async () => {
  const stateRoot = join(scratch, "nobody");
  await assert.rejects(new MeerkatClient().connect({ stateRoot, start: false }), withCode("DAEMON_UNAVAILABLE"));
});

test("a daemon that cannot start tells why, with its own code", limited, async () => {
  const word = 'FAILED {"code": "REALM_TOO_NEW", "message": "Too new.", "hint": "Upgrade."}';
  const failing = program("failing", `echo '${word}' >&3`);
  await assert.rejects(dial({}, environ("failing", failing)), (error: unknown) => {
    assert.ok(error instanceof MeerkatError);
    assert.deepEqual([error.code, error.message, error.hint], ["REALM_TOO_NEW", "Too new.", "Upgrade."]);
    return true;
  });
});

test("a daemon that dies before it is ready leaves its last words in the hint", limited, async () => {
  const dying = program("dying", "echo 'no such luck' >&2");
  await assert.rejects(dial({}, environ("dying", dying)), (error: unknown) => {
    return error instanceof MeerkatError && error.code === "DAEMON_UNAVAILABLE" && error.hint.includes("no such luck");
  });
});

test("a daemon that says nothing is given up at the deadline", limited, async () => {
  const silent = program("silent", "exec sleep 60");
  const dialed = dial({ deadlineSeconds: 0.2 }, environ("silent", silent));
  await assert.rejects(dialed, withCode("DAEMON_UNAVAILABLE"));
});

test("a program that is not there is told of", limited, async () => {
  const missing = { MEERKAT_DAEMON: join(scratch, "missing") };
  await assert.rejects(dial({}, environ("missing", missing)), withCode("DAEMON_UNAVAILABLE"));
});

test("the daemon sees neither keys nor anything else that is not on the list", limited, async () => {
  const spy = program("spy", "env >&2");
  const seen = environ("spy", { ...spy, OPENAI_API_KEY: "sk-secret", LC_ALL: "C.UTF-8", NODE_OPTIONS: "" });
  await assert.rejects(dial({}, seen));
  const words = readFileSync(places(undefined, seen).stderrPath, "utf8");
  assert.match(words, /LC_ALL=C\.UTF-8/);
  assert.doesNotMatch(words, /sk-secret|NODE_OPTIONS/);
  assert.ok(!isKept("ANTHROPIC_API_KEY"));
});

test("a runtime directory that is open to others, or a symlink, is refused and left as it is", limited, async () => {
  const open = environ("open");
  const { runtimeDir } = places(undefined, open);
  mkdirSync(runtimeDir, { recursive: true });
  chmodSync(runtimeDir, 0o755);
  await assert.rejects(dial({}, open), withCode("PERMISSION_DENIED"));
  rmSync(runtimeDir, { recursive: true });
  mkdirSync(join(scratch, "target"), { mode: 0o700 });
  symlinkSync(join(scratch, "target"), runtimeDir);
  await assert.rejects(dial({}, open), withCode("PERMISSION_DENIED"));
});

test("a socket that is open to others, or is none, is refused", limited, async () => {
  const planted = environ("planted");
  const { socketPath } = places(undefined, planted);
  mkdirSync(dirname(socketPath), { recursive: true, mode: 0o700 });
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  chmodSync(socketPath, 0o666);
  await assert.rejects(dial({}, planted), withCode("PERMISSION_DENIED"));
  await new Promise((resolve) => server.close(resolve));
  writeFileSync(socketPath, "");
  await assert.rejects(dial({}, planted), withCode("PERMISSION_DENIED"));
});

test("the daemon is the program that is named, the one on the path, or Python's", () => {
  const folder = join(scratch, "bin");
  mkdirSync(folder);
  assert.deepEqual(command({ MEERKAT_DAEMON: "/opt/meerkatd", PATH: folder }), ["/opt/meerkatd"]);
  assert.deepEqual(command({ PATH: folder }), ["python3", "-P", "-m", "meerkatd"]);
  writeFileSync(join(folder, "meerkatd"), "", { mode: 0o700 });
  assert.deepEqual(command({ PATH: `/nowhere:${folder}` }), ["meerkatd"]);
});

test("keys come from the environment, the more specific variable first", () => {
  const found = credentialsOf({ OPENAI_API_KEY: "b", RKAT_OPENAI_API_KEY: "a", GEMINI_BASE_URL: "http://g", ANTHROPIC_API_KEY: " " });
  assert.deepEqual(found, { openai: { apiKey: "a" }, gemini: { baseUrl: "http://g" } });
});

test("an installed service is started by its manager, and no client starts a daemon beside it", limited, async () => {
  const env = environ("service", { PATH: join(scratch, "service", "bin") });
  const { socketPath } = places(env["MEERKAT_STATE_ROOT"], env);
  const units = join(scratch, "service", "config", "systemd", "user");
  mkdirSync(units, { recursive: true });
  mkdirSync(env["PATH"]!, { recursive: true });
  writeFileSync(join(units, "meerkatd.socket"), `[Socket]\nListenStream=${socketPath}\n`);
  const program = join(env["PATH"]!, "systemctl");
  writeFileSync(program, "#!/bin/sh\necho no bus >&2\nexit 1\n", { mode: 0o755 });
  const options = { stateRoot: env["MEERKAT_STATE_ROOT"], deadlineSeconds: 5 };
  const config = join(scratch, "service", "config");
  await assert.rejects(dial(options, { ...env, XDG_CONFIG_HOME: config }), (error: unknown) => {
    assert.ok(withCode("DAEMON_UNAVAILABLE")(error));
    assert.match((error as MeerkatError).message, /no bus/);
    return true;
  });
});
