/**
 * Connect to the daemon, and start one when none runs.
 *
 * What decides who the daemon is, is its own lock in the state root: a start that is told BUSY goes on connecting, to the
 * socket that the lock's record names. Node has no file locks, so clients that are cold at the same moment may each start
 * a daemon; all but one of these leave at once.
 *
 * Node cannot ask the kernel who serves a socket. Owner and mode of the directory and of the socket stand for that: in a
 * directory of mode 0700 nobody else could have put one.
 *
 * The daemon inherits nothing of its first client but the variables that `isKept` names: keys may be in the others.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { accessSync, closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { connect as connectSocket, type Socket } from "node:net";
import { delimiter, dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

import { errorOf, MeerkatError } from "./errors.js";
import { DEFAULT_DEADLINE_SECONDS } from "./link.js";
import { installed, start as startService } from "./service.js";
import { hasDescriptorPaths, MAX_SOCKET_PATH, ownUid, places, PRIVATE, type Environ, type Places } from "./paths.js";

const POLL_MS = 10;
/** A daemon that leaves says BUSY to each successor until it has left; each try costs 0.2 s of CPU. */
const RESPAWN_MS = 250;
const TAIL_BYTES = 2000;
const READY_FD = 3;

/** The environment of the daemon: locale and places, how to find programs, and how to reach the network. */
const KEPT: ReadonlySet<string> = new Set(
  `HOME USER LOGNAME PATH SHELL TZ LANG LANGUAGE TMPDIR
   XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_CACHE_HOME
   MEERKAT_STATE_ROOT MEERKAT_RUNTIME_DIR MEERKAT_USER_CONFIG MEERKAT_MODELS_DIR MEERKAT_METRICS MEERKAT_IDLE_SECONDS
   HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
   SSL_CERT_FILE SSL_CERT_DIR`.split(/\s+/),
);

export interface DialOptions {
  /** The folder with the daemon's data; the one that the environment names when absent. */
  stateRoot?: string | undefined;
  /** Start a daemon when none runs. */
  start?: boolean | undefined;
  /** For everything together. */
  deadlineSeconds?: number | undefined;
}

/**
 * A connected socket to the daemon of this user and state root.
 *
 * @throws MeerkatError DAEMON_UNAVAILABLE, or PERMISSION_DENIED when a file is not ours alone.
 */
export async function dial(options: DialOptions = {}, environ: Environ = process.env): Promise<Socket> {
  const until = Date.now() + 1000 * (options.deadlineSeconds ?? DEFAULT_DEADLINE_SECONDS);
  try {
    const where = places(options.stateRoot, environ);
    const socket = await tryPlaces(where);
    if (socket !== undefined) return socket;
    if (options.start === false) {
      throw errorOf("DAEMON_UNAVAILABLE", `No daemon runs for ${where.stateRoot}.`, {
        hint: "Any command that needs one starts it; `rkat daemon start` does so explicitly.",
      });
    }
    return await startAndConnect(where, until, environ);
  } catch (error) {
    if (error instanceof MeerkatError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const refused = code === "EACCES" || code === "EPERM";
    throw errorOf(refused ? "PERMISSION_DENIED" : "DAEMON_UNAVAILABLE", `The daemon cannot be reached: ${message}.`, {
      cause: error,
    });
  }
}

/** Connect to the place where the socket should be, or to where the daemon's record says that it is. */
async function tryPlaces(where: Places): Promise<Socket | undefined> {
  const socket = await tryPath(where.runtimeDir, where.socketPath);
  if (socket !== undefined) return socket;
  const other = recordedSocket(where);
  if (other === undefined || other === where.socketPath || !other.startsWith("/")) return undefined;
  return tryPath(dirname(other), other);
}

function recordedSocket(where: Places): string | undefined {
  try {
    const record: unknown = JSON.parse(readFileSync(where.lockPath, "utf8"));
    const socket = (record as { socket?: unknown } | null)?.socket;
    return typeof socket === "string" ? socket : undefined;
  } catch {
    // No daemon has written one, or one is just writing it.
    return undefined;
  }
}

async function tryPath(directory: string, path: string): Promise<Socket | undefined> {
  const folder = openPrivate(directory);
  if (folder === undefined) return undefined;
  try {
    if (!isOwnSocket(path)) return undefined;
    return await connected(address(folder, path));
  } finally {
    closeSync(folder);
  }
}

/** A descriptor of a directory that is ours alone; undefined when there is none. */
function openPrivate(path: string): number | undefined {
  let folder: number;
  try {
    folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw refused(`${path} is not a directory of yours.`, path);
  }
  const { uid, mode } = fstatSync(folder);
  if (uid === ownUid() && (mode & PRIVATE) === 0) return folder;
  closeSync(folder);
  throw refused(`${path} belongs to uid ${uid} with mode ${(mode & 0o7777).toString(8)}; it has to be yours alone.`, path);
}

function isOwnSocket(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  if (found.isSocket() && found.uid === ownUid() && (found.mode & PRIVATE) === 0) return true;
  throw refused(`${path} is not a socket of yours alone.`, path);
}

function refused(message: string, path: string): MeerkatError {
  return errorOf("PERMISSION_DENIED", message, { hint: `Move ${path} away, after a look at it.`, details: { path } });
}

/** `path`, or its short alias through the open directory. */
function address(folder: number, path: string): string {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return path;
  if (hasDescriptorPaths()) return `/proc/self/fd/${folder}/${path.slice(path.lastIndexOf("/") + 1)}`;
  throw errorOf("PERMISSION_DENIED", `The socket's path ${path} is longer than ${MAX_SOCKET_PATH} bytes.`, {
    hint: "Set MEERKAT_RUNTIME_DIR to a shorter directory of your own.",
  });
}

function connected(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ path });
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") resolve(undefined);
      else reject(error);
    });
  });
}

async function startAndConnect(where: Places, until: number, environ: Environ): Promise<Socket> {
  mkdirSync(where.runtimeDir, { recursive: true, mode: 0o700 });
  closeSync(openPrivate(where.runtimeDir)!);
  let spawnAt = 0;
  for (;;) {
    const socket = await tryPlaces(where);
    if (socket !== undefined) return socket;
    if (Date.now() >= until) throw givenUp(where, "The daemon did not answer in time.");
    if (Date.now() >= spawnAt) {
      const service = installed(where, environ);
      if (service !== undefined) await startService(service, until, environ);
      else if (await start(where, until, environ)) continue;
      spawnAt = Date.now() + RESPAWN_MS;
    }
    await sleep(POLL_MS);
  }
}

/** Start a daemon and wait for its word: true when it is ready, false when another one is at it. */
async function start(where: Places, until: number, environ: Environ): Promise<boolean> {
  const [program, ...first] = command(environ);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
  const output = openSync(where.stderrPath, flags, 0o600);
  let child: ChildProcess;
  try {
    const places = ["--state-root", where.stateRoot, "--runtime-dir", where.runtimeDir];
    child = spawn(program!, [...first, ...places, "--ready-fd", String(READY_FD), "--detach"], {
      stdio: ["ignore", output, output, "pipe"],
      detached: true,
      cwd: "/",
      env: Object.fromEntries(Object.entries(environ).filter(([name]) => isKept(name))),
    });
  } finally {
    closeSync(output);
  }
  const word = await lastWord(child, until);
  if (word.startsWith("FAILED ")) throw toldFailure(word);
  if (word === "") throw givenUp(where, "The daemon ended before it was ready.");
  return word === "READY\n";
}

/** What a daemon that we start gets to see of our environment. */
export function isKept(name: string): boolean {
  return KEPT.has(name) || name.startsWith("LC_");
}

/** How to run the daemon: MEERKAT_DAEMON, `meerkatd` on the PATH, or the Python that is there. */
export function command(environ: Environ): string[] {
  const explicit = environ["MEERKAT_DAEMON"];
  if (explicit) return [explicit];
  const found = (environ["PATH"] ?? "").split(delimiter).filter((folder) => folder.startsWith("/"));
  return found.some((folder) => isProgram(join(folder, "meerkatd"))) ? ["meerkatd"] : ["python3", "-P", "-m", "meerkatd"];
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What the new daemon says, up to the end of the line or of the pipe; `LATE` when the deadline passes first. */
function lastWord(child: ChildProcess, until: number): Promise<string> {
  const pipe = child.stdio[READY_FD] as Readable;
  return new Promise((resolve, reject) => {
    let word = "";
    const over = (said: string): void => {
      clearTimeout(timer);
      pipe.destroy();
      child.unref();
      resolve(said);
    };
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      over("LATE\n");
    }, Math.max(0, until - Date.now()));
    pipe.setEncoding("utf8").on("data", (text: string) => {
      word += text;
      if (word.endsWith("\n")) over(word);
    });
    pipe.once("end", () => over(word));
    pipe.once("error", () => over(word));
    child.once("error", (error) => {
      clearTimeout(timer);
      const hint = "Install meerkatd, or set MEERKAT_DAEMON to the program's path.";
      reject(errorOf("DAEMON_UNAVAILABLE", `The daemon cannot be started: ${error.message}.`, { hint, cause: error }));
    });
  });
}

/** The error with which a daemon said that it cannot start. */
function toldFailure(word: string): MeerkatError {
  const { code, message, hint } = JSON.parse(word.slice("FAILED ".length)) as Record<string, string>;
  return errorOf(code ?? "DAEMON_UNAVAILABLE", message ?? "The daemon could not start.", hint ? { hint } : {});
}

function givenUp(where: Places, message: string): MeerkatError {
  const tail = readFileSync(where.stderrPath).subarray(-TAIL_BYTES).toString().trim();
  const hint = tail ? `Its last words: ${tail}` : `Look into ${where.logPath}.`;
  return errorOf("DAEMON_UNAVAILABLE", message, { hint, details: { stderr: tail, log: where.logPath } });
}
