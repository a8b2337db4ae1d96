/**
 * A store as the original opslog left it: a manifest, a snapshot, and a log on top of it. Nobody
 * writes with the original any more; the first compaction of ours upgrades it.
 */
import { MANIFEST_PATH } from "../../src/format/paths.ts";
import { type PlainDoc } from "./form.ts";
import { EPOCH_MS } from "./sim-process.ts";
import type { Prng } from "./prng.ts";

/** An operation of the original, with the version under which it counts (O2). */
export interface FoundingOp {
  readonly id: string;
  readonly text: string | undefined;
  readonly clock: number;
}

export interface Founding {
  /** Texts by path. */
  readonly objects: ReadonlyMap<string, string>;
  readonly ops: readonly FoundingOp[];
}

/** Of every operation of the original: below whatever ours draw. */
export const FOUNDING_W = "0".repeat(16);

const SNAPSHOT = `snapshots/snap-${EPOCH_MS - 1_000}.jsonl`;
const LOG = `ops/ops-${EPOCH_MS - 1_000}.jsonl`;
const LOGGED_MAX = 8;

export function drawFounding(prng: Prng, ids: readonly string[], draw: () => PlainDoc): Founding {
  const timestamp = new Date(EPOCH_MS).toISOString();
  const now = new Map<string, PlainDoc>();
  const ops: FoundingOp[] = [];
  for (const id of prng.sample(ids, prng.between(0, ids.length))) {
    now.set(id, draw());
    ops.push({ id, text: JSON.stringify(now.get(id)), clock: 0 });
  }
  const snapshot = [{ version: 1, timestamp }, ...[...now].map(([id, data]) => ({ id, data }))];
  const log: unknown[] = [];
  for (let left = prng.between(0, LOGGED_MAX); left > 0; left--) {
    const id = prng.pick(ids);
    const prev = now.get(id) ?? null;
    const isDelete = prev !== null && prng.chance(0.4);
    const data = isDelete ? undefined : draw();
    if (data === undefined) now.delete(id);
    else now.set(id, data);
    const op = isDelete ? "delete" : "set";
    log.push({ ts: timestamp, op, id, prev, ...(data === undefined ? {} : { data }) });
    // It has no clocks: they count up.
    ops.push({
      id,
      text: data === undefined ? undefined : JSON.stringify(data),
      clock: log.length,
    });
  }
  const stats = {
    activeRecords: now.size,
    archivedRecords: 0,
    opsCount: log.length,
    created: timestamp,
    lastCheckpoint: timestamp,
  };
  const names = { currentSnapshot: SNAPSHOT, activeOps: LOG, archiveSegments: [] };
  const objects = new Map([
    [SNAPSHOT, linesOf(snapshot)],
    [LOG, linesOf(log)],
    [MANIFEST_PATH, JSON.stringify({ version: 1, ...names, stats }, undefined, 2)],
  ]);
  return { objects, ops };
}

function linesOf(values: readonly unknown[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join("");
}
