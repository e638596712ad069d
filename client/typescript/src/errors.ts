/**
 * Every failure, the daemon's or our own, is a `MeerkatError` with a code of the one error table.
 *
 * Test `code`, or use the class for the codes that have one; the message is for people.
 */

import { ERRORS, type ErrorCode } from "./tables.js";
import { fromWire } from "./shapes.js";
import type { ToolCallRecord } from "./types.js";

export interface ErrorFacts {
  details?: Record<string, unknown>;
  hint?: string;
  retryable?: boolean;
  rpcCode?: number;
  cause?: unknown;
}

/** A request failed, or there is nobody to ask. */
export class MeerkatError extends Error {
  /** String code of the error table; a newer daemon may send one that this version does not know. */
  readonly code: string;
  /** Facts for programs, spelled as on the wire. */
  readonly details: Record<string, unknown>;
  /** What a person can do next. */
  readonly hint: string;
  /** The same request, sent again later, may succeed. */
  readonly retryable: boolean;
  /** JSON-RPC number, as received. */
  readonly rpcCode: number;

  constructor(code: string, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = new.target.name;
    const row = ERRORS[code as ErrorCode] ?? ERRORS.INTERNAL_ERROR;
    this.code = code;
    this.details = facts.details ?? {};
    this.hint = facts.hint ?? row.hint;
    this.retryable = facts.retryable ?? row.retryable;
    this.rpcCode = facts.rpcCode ?? row.rpc;
  }
}

/** A turn is running in this session; `details` says whose. */
export class SessionBusyError extends MeerkatError {}
/** The realm has no such session. */
export class SessionNotFoundError extends MeerkatError {}
/** There is no turn to interrupt. */
export class SessionNotRunningError extends MeerkatError {}
/** The session is archived and takes no changes. */
export class SessionArchivedError extends MeerkatError {}
/** The turn was interrupted; what was produced is committed. */
export class RequestCancelledError extends MeerkatError {}
/** The config has another generation than expected. */
export class ConfigConflictError extends MeerkatError {}
/** The daemon lacks what is asked for. */
export class CapabilityUnavailableError extends MeerkatError {}
/** The daemon cannot be reached or started. */
export class DaemonUnavailableError extends MeerkatError {}

/** The end of this turn could not be stored. The turn is not run again; `toolCalls` tells what had run. */
export class TurnLostError extends MeerkatError {
  get toolCalls(): ToolCallRecord[] {
    const calls = this.details["tool_calls"];
    return Array.isArray(calls) ? calls.map((call) => fromWire("ToolCallRecord", call) as ToolCallRecord) : [];
  }
}

const CLASSES: Partial<Record<string, typeof MeerkatError>> = {
  SESSION_BUSY: SessionBusyError,
  SESSION_NOT_FOUND: SessionNotFoundError,
  SESSION_NOT_RUNNING: SessionNotRunningError,
  SESSION_ARCHIVED: SessionArchivedError,
  REQUEST_CANCELLED: RequestCancelledError,
  CONFIG_CONFLICT: ConfigConflictError,
  CAPABILITY_UNAVAILABLE: CapabilityUnavailableError,
  DAEMON_UNAVAILABLE: DaemonUnavailableError,
  TURN_LOST: TurnLostError,
};

/** An error of the class that belongs to `code`. */
export function errorOf(code: string, message: string, facts: ErrorFacts = {}): MeerkatError {
  return new (CLASSES[code] ?? MeerkatError)(code, message, facts);
}

/** The `error` member of a reply. Anything may be missing: another implementation may have sent it. */
export function fromErrorObject(error: unknown): MeerkatError {
  const fields = record(error);
  const data = record(fields["data"]);
  const { hint, retryable, ...details } = record(data["details"]);
  const number = typeof fields["code"] === "number" ? fields["code"] : undefined;
  const code = typeof data["code"] === "string" ? data["code"] : codeOf(number);
  const message = data["message"] || fields["message"] || "The daemon gave no reason.";
  return errorOf(code, String(message), {
    details,
    ...(typeof hint === "string" && { hint }),
    ...(typeof retryable === "boolean" && { retryable }),
    ...(number !== undefined && { rpcCode: number }),
  });
}

/** The first code with this number: only INVALID_PARAMS shares its own with another. */
function codeOf(number: number | undefined): string {
  const row = Object.entries(ERRORS).find(([, { rpc }]) => rpc === number);
  return row === undefined ? "INTERNAL_ERROR" : row[0];
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

/** There is nobody to ask. */
export function unavailable(message: string, facts: ErrorFacts = {}): MeerkatError {
  return errorOf("DAEMON_UNAVAILABLE", message, facts);
}
