/** A manifest for the tests of its codec. */
import { EMPTY_MANIFEST, type Manifest } from "../../src/format/manifest-codec.ts";
import type { RunInfo } from "../../src/format/run-info.ts";

/** With something in every field. */
export const EXAMPLE: Manifest = {
  ...EMPTY_MANIFEST,
  generation: 3,
  nonce: "ab",
  lineage: ["cd"],
  clock: 7,
  runs: [
    {
      path: "snapshots/snap-2-0123456789abcdef.jsonl",
      index: "snapshots/snap-2-0123456789abcdef.index",
      bytes: 10,
      records: 2,
      tombstones: 1,
      minId: "a",
      maxId: "é\ud800",
      minSchema: 1,
      sha256: "0".repeat(64),
      partitions: [{ separator: "", offset: 1, length: 2, dataOffset: 3 }],
      level: 0,
      since: 2,
      excised: [
        { from: "", to: "b" },
        { from: "c", to: undefined },
      ],
    },
  ],
  draining: [0],
  history: [{ generation: 2, clock: 5, at: 1_000 }],
  retired: [{ path: "snapshots/x" }, { path: "snapshots/y", list: true, at: 5 }],
  archive: [{ period: "2026-Q1", path: "archive/archive-2026_Q1-1-ab.jsonl", records: 2 }],
  stats: { activeRecords: 1, archivedRecords: 2, created: "2026", lastCheckpoint: "2027" },
};

/** Its first run. */
export function runOf({ runs: [run] }: Manifest): RunInfo {
  if (run === undefined) throw new Error("no run");
  return run;
}
