/**
 * Where everything is: the state root with the data, and the runtime directory with the socket.
 *
 * The rules are the daemon's own. State root: an explicit path, MEERKAT_STATE_ROOT, or `meerkat` in the platform's data
 * directory. Runtime directory, the first that fits: MEERKAT_RUNTIME_DIR, `$XDG_RUNTIME_DIR/meerkat`,
 * `/run/user/<uid>/meerkat` (Linux), `~/.local/state/meerkat/run`; never a name in a shared directory. A state root other
 * than the account's default gets a subdirectory `r-<hash>`: it is another daemon with its own socket.
 */

import { createHash } from "node:crypto";
import { lstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { basename, dirname, join, resolve } from "node:path";

import { errorOf } from "./errors.js";

const APP = "meerkat";
const SOCKET_NAME = "md.sock";
const IS_MAC = process.platform === "darwin";
/** sun_path without its closing NUL. */
export const MAX_SOCKET_PATH = IS_MAC ? 103 : 107;
/** Mode bits that a directory with a socket may not have. */
export const PRIVATE = 0o077;

export type Environ = Readonly<Record<string, string | undefined>>;

/** The files and directories of one daemon; absolute, canonical paths. */
export interface Places {
  stateRoot: string;
  runtimeDir: string;
  socketPath: string;
  lockPath: string;
  stderrPath: string;
  logPath: string;
}

/**
 * The places of the daemon of `stateRoot`. Touches no file beyond looking.
 *
 * @throws MeerkatError PERMISSION_DENIED: no usable path for a socket.
 */
export function places(stateRoot?: string, environ: Environ = process.env): Places {
  const root = canonical(stateRoot || environ["MEERKAT_STATE_ROOT"] || defaultStateRoot(environ));
  const run = runtimeDir(root, environ);
  return {
    stateRoot: root,
    runtimeDir: run,
    socketPath: `${run}/${SOCKET_NAME}`,
    lockPath: `${root}/meerkatd.lock`,
    stderrPath: `${run}/meerkatd.stderr`,
    logPath: `${root}/log/meerkatd.log`,
  };
}

/** The user id of this process, as files show it. */
export function ownUid(): number {
  return process.geteuid!();
}

/** Whether a directory's descriptor can stand for its path in a socket's address. */
export function hasDescriptorPaths(): boolean {
  return isDirectory("/proc/self/fd");
}

function defaultStateRoot(environ: Environ): string {
  const data = IS_MAC ? undefined : absolute(environ["XDG_DATA_HOME"]);
  return data === undefined ? dataBelow(home(environ)) : `${data}/${APP}`;
}

function dataBelow(folder: string): string {
  return IS_MAC ? `${folder}/Library/Application Support/${APP}` : `${folder}/.local/share/${APP}`;
}

function home(environ: Environ): string {
  return absolute(environ["HOME"]) ?? accountHome();
}

function accountHome(): string {
  try {
    return userInfo().homedir;
  } catch {
    // An account without an entry, as in some containers.
    return "/nonexistent";
  }
}

/** A variable's path; a relative one is ignored, as the XDG specification demands. */
function absolute(value: string | undefined): string | undefined {
  return value?.startsWith("/") ? value : undefined;
}

function runtimeDir(stateRoot: string, environ: Environ): string {
  // Compared with the account's home and not with HOME: a changed HOME moves the data, so it must move the socket.
  const below = stateRoot === canonical(dataBelow(accountHome())) ? "" : `/r-${digest(stateRoot)}`;
  const candidates = runtimeBases(environ).map((base) => canonical(base) + below);
  const first = candidates[0]!;
  if (fits(first) || hasDescriptorPaths()) return first;
  for (const candidate of candidates.slice(1)) {
    const moved = `${below ? dirname(candidate) : candidate}/mk-${digest(first)}`;
    if (fits(moved)) return moved;
  }
  throw errorOf("PERMISSION_DENIED", `The socket's path ${first}/${SOCKET_NAME} is too long.`, {
    hint: "Set MEERKAT_RUNTIME_DIR to a shorter directory of your own.",
    details: { path: first },
  });
}

function runtimeBases(environ: Environ): string[] {
  const found: string[] = [];
  const explicit = environ["MEERKAT_RUNTIME_DIR"];
  if (explicit) found.push(resolve(explicit));
  const folder = home(environ);
  if (IS_MAC) return [...found, `${dataBelow(folder)}/run`];
  // After `su` the variable may name another user's directory, or one that is gone.
  for (const session of [absolute(environ["XDG_RUNTIME_DIR"]), `/run/user/${ownUid()}`]) {
    if (session !== undefined && isOwnedDirectory(session)) found.push(`${session}/${APP}`);
  }
  return [...found, `${folder}/.local/state/${APP}/run`];
}

function fits(directory: string): boolean {
  return Buffer.byteLength(`${directory}/${SOCKET_NAME}`) <= MAX_SOCKET_PATH;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function isOwnedDirectory(path: string): boolean {
  try {
    const found = statSync(path);
    return found.isDirectory() && found.uid === ownUid() && (found.mode & PRIVATE) === 0;
  } catch {
    return false;
  }
}

/** The path without symlinks, also where it does not exist yet. */
export function canonical(path: string): string {
  const full = resolve(path);
  try {
    return realpathSync.native(full);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || full === "/") throw error;
  }
  if (lstatSync(full, { throwIfNoEntry: false })?.isSymbolicLink()) {
    return canonical(resolve(dirname(full), readlinkSync(full)));
  }
  return join(canonical(dirname(full)), basename(full));
}

/** 16 base32 characters (80 bits), lower-case for file systems that ignore case. */
function digest(path: string): string {
  const bytes = createHash("sha256").update(path).digest().subarray(0, 10);
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits.replace(/.{5}/g, (five) => "abcdefghijklmnopqrstuvwxyz234567"[Number.parseInt(five, 2)]!);
}
