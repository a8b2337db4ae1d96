/** Log of the model as a plan takes it. */
import { CLOCKS_PER_MS } from "../../src/core/hybrid-clock.ts";
import type { LogUnit } from "../../src/log/log.ts";

/** Only its bytes and its age count for a plan. */
export function unitOf(bytes: number, atMs: number): LogUnit {
  const lo = Math.floor(atMs * CLOCKS_PER_MS);
  const filter = { kind: "any" } as never;
  const ref = { key: "log", path: "log", range: undefined, lo, hi: lo, filter, bytes };
  return { paths: ["log"], segments: [ref], corrupt: false };
}
