/** Messages as frames on the daemon's own socket. For Node. */

import type { Socket } from "node:net";

import { unavailable } from "./errors.js";
import { decode, encodeFrame, FrameReader } from "./framing.js";
import { MAX_REPLY_FRAME, MAX_REQUEST_FRAME } from "./tables.js";
import type { Receiver, Transport } from "./transport.js";

export class SocketTransport implements Transport {
  readonly #socket: Socket;
  readonly #reader = new FrameReader(MAX_REPLY_FRAME);

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  attach(receiver: Receiver): void {
    this.#socket.on("data", (data: Buffer) => {
      this.#reader.feed(data);
      receiver.take(this.#messages());
    });
    this.#socket.on("error", (error) => receiver.lost(unavailable(`The connection to the daemon broke: ${error.message}.`)));
    this.#socket.on("close", () => receiver.lost(unavailable("The daemon closed the connection.")));
  }

  send(message: unknown): void {
    this.#socket.write(encodeFrame(message, MAX_REQUEST_FRAME));
  }

  close(): void {
    this.#socket.destroy();
  }

  *#messages(): Iterable<unknown> {
    for (let body = this.#reader.next(); body !== undefined; body = this.#reader.next()) yield decode(body);
  }
}
