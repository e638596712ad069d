/** The client of Node: it also finds the daemon's own socket, and starts a daemon when none runs. */

import { MeerkatClient as AnyClient } from "./client.js";
import { dial, type DialOptions } from "./dial.js";
import { credentialsOf, type RealmOptions } from "./link.js";
import { SocketTransport } from "./socket.js";
import type { Transport } from "./transport.js";

/** Where to connect, and as whom. At most one of `realmId`, `workspace` and `isolated`. */
export interface ConnectOptions extends RealmOptions, DialOptions {}

/**
 * A client of the daemon. `connect` it, use it, `close` it; or `await using client = await new MeerkatClient().connect()`.
 *
 * A connection that is lost is made anew by what needs it next, in the same realm. A turn runs once, whatever becomes of
 * the connection; every method throws a `MeerkatError`.
 */
export class MeerkatClient extends AnyClient {
  /**
   * Connect, and start a daemon when none runs. Without `realmId`, `workspace` or `isolated` the realm is a fresh one.
   *
   * @throws MeerkatError DAEMON_UNAVAILABLE, VERSION_MISMATCH, PERMISSION_DENIED, or what the daemon answered.
   */
  async connect(options: ConnectOptions = {}): Promise<this> {
    const open = async (deadlineSeconds: number): Promise<Transport> =>
      new SocketTransport(await dial({ ...options, deadlineSeconds }));
    const way = { open, retries: options.start !== false, pid: process.pid, credentials: credentialsOf(process.env) };
    return this.connectBy(way, options);
  }
}
