/**
 * Frames: a 4-byte big-endian length, then that many bytes of CBOR. No I/O.
 *
 * Values are those of JSON and nothing else, on both sides. cborg was chosen for its strictness; what it leaves open is
 * closed here. Measured with its own settings: text that is not UTF-8 decodes to replacement characters, a lone
 * surrogate is sent as one, nesting ends with the stack, and maps are sorted by key. The order of keys is kept here,
 * because models read it.
 *
 * Integers beyond 2^53 become the nearest double, as `JSON.parse` has it.
 */

import { Token, Tokenizer, Type, decode as decodeCbor, encode as encodeCbor, type DecodeOptions } from "cborg";

import { errorOf } from "./errors.js";
import { requirePlain } from "./plain.js";
import { MAX_DEPTH, MAX_INTEGER_BYTES } from "./tables.js";

const HEADER_BYTES = 4;
const BIGNUM_POSITIVE = 2;
const BIGNUM_NEGATIVE = 3;
const REPLACEMENT = "\ufffd";

const OPTIONS: DecodeOptions = {
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  rejectDuplicateMapKeys: true,
  tags: {
    [BIGNUM_POSITIVE]: (content) => bignum(content() as Uint8Array),
    [BIGNUM_NEGATIVE]: (content) => -1 - bignum(content() as Uint8Array),
  },
};

/**
 * The one value that `body` is.
 *
 * @throws MeerkatError PARSE_ERROR: not well-formed, not strict, or something after the value.
 */
export function decode(body: Uint8Array): unknown {
  try {
    return decodeCbor(body, { ...OPTIONS, tokenizer: new PlainTokenizer(body, OPTIONS) });
  } catch (error) {
    throw errorOf("PARSE_ERROR", `The frame is not strict CBOR: ${(error as Error).message}.`, { cause: error });
  }
}

/** The tokens of values that JSON has. */
class PlainTokenizer extends Tokenizer {
  /** For each container that is open, how many values it still lacks. */
  readonly #open: number[] = [];
  #inBignum = false;

  override next(): Token {
    const token = super.next();
    if (Type.equals(token.type, Type.bytes) !== this.#inBignum) throw new Error("bytes are only those of a bignum");
    this.#inBignum = Type.equals(token.type, Type.tag);
    if (this.#inBignum) return token;
    this.#count(token);
    if (typeof token.value === "bigint") return new Token(token.type, Number(token.value), token.encodedLength);
    if (typeof token.value === "string" && token.value.includes(REPLACEMENT)) this.#requireUtf8(token.value);
    return token;
  }

  #count(token: Token): void {
    const open = this.#open;
    if (open.length > 0) open[open.length - 1]! -= 1;
    const isMap = Type.equals(token.type, Type.map);
    if (isMap || Type.equals(token.type, Type.array)) {
      if (open.length === MAX_DEPTH) throw new Error(`more than ${MAX_DEPTH} levels`);
      open.push(isMap ? 2 * token.value : token.value);
    }
    while (open.at(-1) === 0) open.pop();
  }

  /** What was read as a replacement character must have been sent as one. */
  #requireUtf8(text: string): void {
    const bytes = Buffer.from(text);
    if (bytes.compare(this.data, this.pos() - bytes.length, this.pos()) !== 0) throw new Error("text is not UTF-8");
  }
}

function bignum(bytes: Uint8Array): number {
  const value = bytes.length <= MAX_INTEGER_BYTES ? Number(`0x${Buffer.from(bytes).toString("hex") || "0"}`) : Infinity;
  if (!Number.isFinite(value)) throw new Error("integer out of range");
  return value;
}

/**
 * `message` as one frame, header included. Properties that are undefined are left out.
 *
 * @throws MeerkatError INVALID_PARAMS: a value that JSON does not have. REQUEST_TOO_LARGE: above `limit` bytes.
 */
export function encodeFrame(message: unknown, limit: number): Buffer {
  requirePlain(message);
  const body = encodeCbor(message, { ignoreUndefinedProperties: true, mapSorter: () => 0 });
  if (body.length > limit) {
    throw errorOf("REQUEST_TOO_LARGE", `The message has ${body.length} bytes; a frame may have ${limit}.`, {
      details: { size: body.length, limit },
    });
  }
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  frame.writeUInt32BE(body.length);
  frame.set(body, HEADER_BYTES);
  return frame;
}

/** Cuts a stream of bytes into frame bodies. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #size = 0;

  /** @param limit the largest body that is taken. */
  constructor(readonly limit: number) {}

  /** Take received bytes. */
  feed(data: Buffer): void {
    this.#chunks.push(data);
    this.#size += data.length;
  }

  /**
   * The next whole body; undefined when more bytes are needed.
   *
   * @throws MeerkatError DAEMON_UNAVAILABLE: a frame above the limit was announced; nothing can follow.
   */
  next(): Uint8Array | undefined {
    if (this.#size < HEADER_BYTES) return undefined;
    if (this.#chunks[0]!.length < HEADER_BYTES) this.#join();
    const length = this.#chunks[0]!.readUInt32BE();
    if (length > this.limit) throw errorOf("DAEMON_UNAVAILABLE", `The daemon announced a frame of ${length} bytes.`);
    const end = HEADER_BYTES + length;
    if (this.#size < end) return undefined;
    this.#join();
    const buffer = this.#chunks[0]!;
    this.#chunks = buffer.length > end ? [buffer.subarray(end)] : [];
    this.#size -= end;
    return buffer.subarray(HEADER_BYTES, end);
  }

  /** Once for each frame and not for each chunk: a page of 30 MiB arrives in hundreds of them. */
  #join(): void {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
  }
}
