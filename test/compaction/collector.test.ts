import { expect, test } from "vitest";
import { orphans } from "../../src/compaction/collector.ts";
import { EMPTY_MANIFEST } from "../../src/format/manifest-codec.ts";
import { runPaths } from "../../src/format/paths.ts";
import { run } from "./arbitraries.ts";

const at = (base: number, digit = "0"): string => runPaths(base, digit.repeat(16)).path;

test("garbage is what an earlier base left behind and nobody mentions", () => {
  const kept = run(1, 1);
  const manifest = {
    ...EMPTY_MANIFEST,
    generation: 5,
    runs: [kept],
    retired: [{ path: at(2, "a") }],
  };
  const listed = [
    kept.path,
    kept.index,
    at(2, "a"),
    at(4, "b"),
    runPaths(0, "c".repeat(16)).index,
    // These may still be published, or are of a later base.
    at(5, "d"),
    at(6, "e"),
    // Not ours.
    "snapshots/notes.txt",
    "snapshots/snap-1.json",
    "snapshots/snap-1-xyz.jsonl",
  ];
  expect(orphans(manifest, listed)).toEqual([at(4, "b"), runPaths(0, "c".repeat(16)).index]);
  expect(orphans(EMPTY_MANIFEST, listed)).toEqual([]);
});
