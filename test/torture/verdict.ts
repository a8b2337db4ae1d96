/** Counts what is wrong with what readers show after a torture. Pure. */
import { findViolations } from "../processes/journal.ts";
import type { JournaledCall, Shown } from "../processes/journal.ts";

export interface Verdict {
  /** Acknowledged and not there, or older than what was acknowledged. */
  readonly lost: number;
  /** Deleted or refused, or never written, and there. */
  readonly resurrected: number;
  /** Batches there in part. */
  readonly torn: number;
  /** Ids of which two readers show different values. */
  readonly divergent: number;
  readonly violations: readonly string[];
}

/** @param slots what each writer's processes did, one after the other */
export function judge(
  slots: readonly { readonly ids: readonly string[]; readonly calls: readonly JournaledCall[] }[],
  readers: readonly Shown[],
): Verdict {
  const violations = new Set<string>();
  const known = new Set(slots.flatMap(({ ids }) => ids));
  for (const shown of readers) {
    for (const { ids, calls } of slots) {
      const own = new Map([...shown].filter(([id]) => ids.includes(id)));
      for (const found of findViolations(calls, own, { mayLandLate: true })) violations.add(found);
    }
    for (const id of shown.keys()) if (!known.has(id)) violations.add(`${id}: nobody wrote it`);
  }
  const [first, ...others] = readers;
  const differing = [...known].filter((id) =>
    others.some((other) => other.get(id) !== first?.get(id)),
  );
  const all = [...violations];
  const torn = all.filter((text) => text.startsWith("batch ")).length;
  const resurrected = all.filter((text) => isResurrection(text)).length;
  return {
    torn,
    resurrected,
    lost: all.length - torn - resurrected,
    divergent: differing.length,
    violations: [...all, ...differing.map((id) => `${id}: readers differ`)],
  };
}

function isResurrection(text: string): boolean {
  return text.endsWith("nobody wrote it") || text.endsWith("expected absent");
}
