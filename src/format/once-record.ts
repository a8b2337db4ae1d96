/** The hidden record of a call that runs once (FORMAT, "Records of `once`"), as a value. */

/** What is known of the function of a key. */
export interface OnceState {
  readonly state: "running" | "done";
  /** 16 hex digits: which run of the function. */
  readonly holder: string;
  /** ms since 1970, by the medium's date: end of the lease, or of the result. */
  readonly expires: number;
  /** Of one that is done; undefined: it returned nothing. */
  readonly result?: unknown;
}

const HOLDER = /^[0-9a-f]{16}$/;

export function encodeOnce({ state, holder, expires, result }: OnceState): object {
  return { state, holder, expires, ...(result === undefined ? {} : { result }) };
}

/**
 * Whether a hidden record ended before a date. Never one that a program of the original wrote.
 * @param text its stored JSON
 */
export function isOver(text: string, endedMs: number): boolean {
  const state = decodeOnce(JSON.parse(text));
  return state !== undefined && state.expires < endedMs;
}

/** Undefined: no program of this library wrote it. */
export function decodeOnce(value: unknown): OnceState | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { state, holder, expires, result } = value as Record<keyof OnceState, unknown>;
  const isKnown = state === "done" || (state === "running" && result === undefined);
  if (!isKnown || typeof holder !== "string" || !HOLDER.test(holder)) return undefined;
  if (typeof expires !== "number" || !Number.isSafeInteger(expires) || expires < 0)
    return undefined;
  return { state, holder, expires, result };
}

/** The record of an idempotent function: one of `once` with two more fields. */
export interface IdempotencyState extends OnceState {
  /** ms since 1970: when one that is running may be taken over; undefined: when it expires. */
  readonly leaseEnds?: number;
  readonly payloadHash?: string;
}

/** Undefined: there is none. */
export function decodeIdempotency(value: unknown): IdempotencyState | undefined {
  const known = decodeOnce(value);
  if (known === undefined) return undefined;
  const { leaseEnds, payloadHash } = value as IdempotencyState;
  return {
    ...known,
    ...(typeof leaseEnds === "number" ? { leaseEnds } : {}),
    ...(typeof payloadHash === "string" ? { payloadHash } : {}),
  };
}
