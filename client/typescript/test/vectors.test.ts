/** This client says what the golden vectors of `tests/vectors` say. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { fromErrorObject, MeerkatError } from "../dist/errors.js";
import { decode, encodeFrame, FrameReader } from "../dist/framing.js";
import { places } from "../dist/paths.js";
import { fromWire, toWire } from "../dist/shapes.js";
import { VERSION } from "../dist/tables.js";

const FOLDER = new URL("../../../tests/vectors/", import.meta.url);

function read(name: string): any {
  return JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
}

function bytes(hex: string): Buffer {
  return Buffer.from(hex, "hex");
}

function withCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof MeerkatError && error.code === code;
}

const framing = read("framing.json");

for (const { name, value, cbor } of framing.passes) {
  test(`${name} passes`, () => {
    const decoded = decode(bytes(cbor));
    assert.equal(JSON.stringify(decoded), JSON.stringify(value));
    const again = decode(encodeFrame(decoded, 1000).subarray(4));
    assert.equal(JSON.stringify(again), JSON.stringify(value), "the order of keys is kept on the way out, too");
  });
}

for (const { name, cbor } of framing.refused) {
  test(`${name} is refused`, () => {
    assert.throws(() => decode(bytes(cbor)), withCode("PARSE_ERROR"));
  });
}

test("a bignum is its nearest double", () => {
  for (const { cbor, double } of framing.bignums) assert.equal(decode(bytes(cbor)), double);
});

test("the key __proto__ is a key like any other", () => {
  const { cbor } = framing.passes.find((vector: { name: string }) => vector.name === "the key __proto__");
  const decoded = decode(bytes(cbor)) as object;
  assert.deepEqual(Object.keys(decoded), ["__proto__"]);
  assert.equal(Object.getPrototypeOf(decoded), Object.prototype);
});

test("a stream is cut into frames however its bytes arrive", () => {
  const { stream, bodies, limit } = framing.frames;
  for (const step of [1, 3, 7, 1000]) {
    const reader = new FrameReader(limit);
    const found: string[] = [];
    for (let start = 0; start < stream.length / 2; start += step) {
      reader.feed(bytes(stream).subarray(start, start + step));
      for (let body = reader.next(); body !== undefined; body = reader.next()) found.push(Buffer.from(body).toString("hex"));
    }
    assert.deepEqual(found, bodies);
  }
});

test("a frame above the limit ends the stream", () => {
  const reader = new FrameReader(framing.oversized.limit);
  reader.feed(bytes(framing.oversized.stream));
  assert.throws(() => reader.next(), withCode("DAEMON_UNAVAILABLE"));
});

test("a message becomes the same frame as everywhere", () => {
  assert.equal(encodeFrame(framing.frame_of.value, 100).toString("hex"), framing.frame_of.frame);
});

const loop: unknown[] = [];
loop.push(loop);
const unsendable: Record<string, unknown> = {
  "a lone surrogate": { text: "\ud800" },
  "a lone surrogate in a key": { "\udfff": 1 },
  "a number that is not finite": [Number.NaN],
  "a cycle": loop,
  "a bigint": { n: 1n },
  "a function": { f: () => undefined },
  "a date": { at: new Date(0) },
  "bytes": { data: new Uint8Array(1) },
};

for (const [name, value] of Object.entries(unsendable)) {
  test(`${name} cannot be sent`, () => {
    assert.throws(() => encodeFrame(value, 1000), withCode("INVALID_PARAMS"));
  });
}

test("a message above the limit is refused with its size", () => {
  assert.throws(
    () => encodeFrame("x".repeat(100), 50),
    (error: unknown) => error instanceof MeerkatError && error.code === "REQUEST_TOO_LARGE" && error.details["size"] === 102,
  );
});

test("an error means the same as everywhere", () => {
  for (const { error, means } of read("errors.json")) {
    const found = fromErrorObject(error);
    const { hint = found.hint, rpc, ...rest } = means;
    const { code, message, details, retryable } = found;
    assert.deepEqual({ code, message, details, retryable }, rest);
    assert.deepEqual([found.hint, found.rpcCode], [hint, rpc]);
  }
});

test("the daemon is looked for in the same place as everywhere", { skip: process.platform !== "linux" }, () => {
  for (const { environ, state_root: stateRoot, places: expected } of read("paths.json")) {
    const found = places(stateRoot ?? undefined, environ);
    assert.deepEqual(Object.values(found), Object.values(expected));
  }
});

test("every shape is renamed on its way in and back on its way out, and data in it is left alone", () => {
  for (const [shape, { wire, camel }] of Object.entries<{ wire: unknown; camel: unknown }>(read("shapes.json"))) {
    assert.deepEqual(fromWire(shape, wire), camel, shape);
    assert.deepEqual(toWire(shape, camel), wire, shape);
  }
});

test("the package has the version of the daemon that it belongs to", () => {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  assert.equal(version, VERSION);
});
