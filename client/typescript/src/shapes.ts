/**
 * Names: snake_case on the wire, camelCase here.
 *
 * Only the fields of known shapes are renamed, by the generated table. Everything else is somebody's data (the keys of
 * a config, of labels, of a tool's arguments) and passes as it is.
 */

import { NESTED } from "./tables.js";

const LEAVES: Readonly<Record<string, string>> = {};

/** A value of the wire, with the names of this side. `shape` names an entry of the contract. */
export function fromWire(shape: string, value: unknown): unknown {
  return renamed(shape, value, camel, (name) => name);
}

/** A value of this side, with the names of the wire; properties that are undefined are left out. */
export function toWire(shape: string, value: unknown): unknown {
  return renamed(shape, value, snake, snake);
}

function renamed(
  shape: string,
  value: unknown,
  rename: (name: string) => string,
  wireName: (name: string) => string,
): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => renamed(shape, item, rename, wireName));
  const isRecord = shape.startsWith("{");
  const held = isRecord ? LEAVES : (NESTED[shape] ?? LEAVES);
  const result: Record<string, unknown> = {};
  for (const [name, inner] of Object.entries(value)) {
    if (inner === undefined) continue;
    const of = isRecord ? shape.slice(1, -1) : held[wireName(name)];
    result[isRecord ? name : rename(name)] = of === undefined ? inner : renamed(of, inner, rename, wireName);
  }
  return result;
}

function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
