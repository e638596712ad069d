/** The values that a message may have: those of JSON. */

import { errorOf, type MeerkatError } from "./errors.js";
import { MAX_DEPTH } from "./tables.js";

/**
 * Find before sending what the daemon would refuse after receiving. A cycle is nesting without end.
 *
 * @throws MeerkatError INVALID_PARAMS.
 */
export function requirePlain(value: unknown, depth = 1): void {
  switch (typeof value) {
    case "boolean":
      return;
    case "string":
      if (!value.isWellFormed()) throw refused("a text with a lone surrogate");
      return;
    case "number":
      if (!Number.isFinite(value)) throw refused("a number that is not finite");
      return;
    case "object":
      if (value !== null) requirePlainObject(value, depth);
      return;
    default:
      throw refused(`a value of type ${typeof value}`);
  }
}

function requirePlainObject(value: object, depth: number): void {
  if (depth > MAX_DEPTH) throw refused(`more than ${MAX_DEPTH} levels, or a cycle`);
  if (Array.isArray(value)) {
    for (const item of value) requirePlain(item, depth + 1);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) throw refused(`an object of ${value.constructor.name}`);
  for (const [key, item] of Object.entries(value)) {
    if (!key.isWellFormed()) throw refused("a text with a lone surrogate");
    if (item !== undefined) requirePlain(item, depth + 1);
  }
}

function refused(what: string): MeerkatError {
  return errorOf("INVALID_PARAMS", `The message has ${what}, which JSON does not know.`);
}
