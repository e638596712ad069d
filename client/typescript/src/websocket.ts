/**
 * Messages as JSON on a WebSocket, for browsers and whatever else has no Unix sockets: the daemon's door on loopback TCP.
 *
 * A page cannot set headers, so the token travels as a subprotocol. It is not part of the URL, which others get to see.
 */

import { errorOf, unavailable } from "./errors.js";
import { requirePlain } from "./plain.js";
import { MAX_REQUEST_FRAME } from "./tables.js";
import type { Receiver, Transport } from "./transport.js";

const JSON_PROTOCOL = "meerkat.v1.json";
const TOKEN_PROTOCOL = "meerkat.token.";

/** As much of the platform's WebSocket as is used here. */
export interface WebSocketLike {
  onopen: ((event: never) => unknown) | null;
  onmessage: ((event: never) => unknown) | null;
  onclose: ((event: never) => unknown) | null;
  onerror: ((event: never) => unknown) | null;
  send(data: string): void;
  close(): void;
}

export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike;

export interface WebSocketOptions {
  /** Where the door is, such as `ws://127.0.0.1:43811/`. A page connects under the name it was loaded by itself. */
  url: string;
  /** What the door's token file says. */
  token: string;
  /** The class to use; that of the platform when absent. */
  webSocket?: WebSocketClass;
}

/**
 * An open WebSocket.
 *
 * @throws MeerkatError DAEMON_UNAVAILABLE: nobody is there, or the token or this page's origin is refused; a browser does
 * not tell which. CAPABILITY_UNAVAILABLE: the platform has no WebSocket.
 */
export function openWebSocket(options: WebSocketOptions, deadlineSeconds: number): Promise<Transport> {
  const given = options.webSocket ?? (globalThis as { WebSocket?: WebSocketClass }).WebSocket;
  if (given === undefined) {
    throw errorOf("CAPABILITY_UNAVAILABLE", "This platform has no WebSocket.", {
      hint: "Pass a class as `webSocket`, such as that of the package ws.",
    });
  }
  const socket = new given(options.url, [JSON_PROTOCOL, TOKEN_PROTOCOL + options.token.trim()]);
  return new Promise((resolve, reject) => {
    const refuse = (): void => {
      clearTimeout(timer);
      socket.close();
      reject(
        unavailable(`The door at ${options.url} lets nobody in: it is closed, or does not take the token or this origin.`, {
          hint: "`rkat-rpc --live-ws` tells its URL and token file; `--live-ws-origin` names the pages that may use it.",
        }),
      );
    };
    const timer = setTimeout(refuse, 1000 * deadlineSeconds);
    socket.onerror = refuse;
    socket.onclose = refuse;
    socket.onopen = () => {
      clearTimeout(timer);
      resolve(new WebSocketTransport(socket));
    };
  });
}

class WebSocketTransport implements Transport {
  readonly #socket: WebSocketLike;

  constructor(socket: WebSocketLike) {
    this.#socket = socket;
  }

  attach(receiver: Receiver): void {
    const lost = (): void => receiver.lost(unavailable("The daemon closed the connection."));
    this.#socket.onerror = lost;
    this.#socket.onclose = lost;
    this.#socket.onmessage = ({ data }: { data: unknown }) => receiver.take(messages(data));
  }

  send(message: unknown): void {
    requirePlain(message);
    const text = JSON.stringify(message);
    const size = new TextEncoder().encode(text).length;
    if (size > MAX_REQUEST_FRAME) {
      throw errorOf("REQUEST_TOO_LARGE", `The message has ${size} bytes; ${MAX_REQUEST_FRAME} may be sent.`, {
        details: { size, limit: MAX_REQUEST_FRAME },
      });
    }
    this.#socket.send(text);
  }

  close(): void {
    this.#socket.onclose = null;
    this.#socket.onerror = null;
    this.#socket.onmessage = null;
    this.#socket.close();
  }
}

function* messages(data: unknown): Iterable<unknown> {
  try {
    yield JSON.parse(String(data));
  } catch (error) {
    if (error instanceof SyntaxError) throw errorOf("PARSE_ERROR", "The message is not JSON.", { cause: error });
    throw error;
  }
}
