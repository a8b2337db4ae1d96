/** Log of the model as a plan takes it. */
import type { LogUnit } from "../../src/log/log.ts";

/** Only its bytes count for a plan. */
export function unitOf(bytes: number): LogUnit {
  const filter = { kind: "any" } as never;
  const ref = { key: "log", path: "log", range: undefined, lo: 1, hi: 1, filter, bytes };
  return { paths: ["log"], segments: [ref], corrupt: false };
}
