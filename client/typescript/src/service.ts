/**
 * Whether the daemon is installed as a service, and how its manager is asked to start it.
 *
 * What counts is whether a service is installed for this socket, and not whether it runs: then the manager starts it, or
 * nobody does. A daemon of a client's own beside it would be one that the manager knows nothing of.
 */

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";

import { errorOf } from "./errors.js";
import { canonical, ownUid, type Environ, type Places } from "./paths.js";

const SOCKET_UNIT = "meerkatd.socket";
const LABEL = "dev.meerkatd";

export interface Service {
  kind: "systemd" | "launchd";
  /** The file that says so: the socket unit, or the plist. */
  path: string;
}

/** The service that owns the socket of these places; undefined when there is none. */
export function installed(where: Places, environ: Environ): Service | undefined {
  const home = environ["HOME"] ?? "";
  const config = environ["XDG_CONFIG_HOME"] || `${home}/.config`;
  const data = environ["XDG_DATA_HOME"] || `${home}/.local/share`;
  for (const folder of [config, "/etc", data, "/usr/local/lib", "/usr/lib"]) {
    const path = `${folder}/systemd/user/${SOCKET_UNIT}`;
    if (listening(textOf(path), environ).includes(where.socketPath)) return { kind: "systemd", path };
  }
  const path = `${home}/Library/LaunchAgents/${LABEL}.plist`;
  const escaped = where.socketPath.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return textOf(path).includes(`<string>${escaped}</string>`) ? { kind: "launchd", path } : undefined;
}

/**
 * Have the manager listen on the socket.
 *
 * @throws MeerkatError DAEMON_UNAVAILABLE, when it cannot be reached or refuses.
 */
export async function start(service: Service, until: number, environ: Environ): Promise<void> {
  const uid = String(ownUid());
  const [program, ...words] =
    service.kind === "systemd"
      ? ["systemctl", "--user", "start", SOCKET_UNIT]
      : ["launchctl", "kickstart", `gui/${uid}/${LABEL}`];
  const env = { XDG_RUNTIME_DIR: `/run/user/${uid}`, ...environ };
  const said = await new Promise<string | undefined>((resolve) => {
    const timeout = Math.max(1000, until - Date.now());
    execFile(program!, words, { env, timeout }, (error, _, stderr) => resolve(error ? stderr.trim() || error.message : undefined));
  });
  if (said === undefined) return;
  throw errorOf(
    "DAEMON_UNAVAILABLE",
    `The daemon is installed as a service of ${service.kind}, which does not start it: ${said}.`,
    {
      hint:
        "Without a login session `loginctl enable-linger` keeps your services running; " +
        "`rkat daemon uninstall` goes back to a daemon that the first command starts.",
      details: { service: service.kind, path: service.path },
    },
  );
}

/** The paths that a socket unit listens on. */
function listening(unit: string, environ: Environ): string[] {
  const runtime = environ["XDG_RUNTIME_DIR"] || `/run/user/${ownUid()}`;
  return unit
    .split("\n")
    .filter((line) => line.startsWith("ListenStream="))
    .map((line) => line.slice("ListenStream=".length).trim().replaceAll("%t", runtime).replaceAll("%%", "%"))
    .map(canonical);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Not there, or not for us: then it says nothing about our socket.
    return "";
  }
}
