import { expect, test } from "vitest";
import { deleteListed, orphans } from "../../src/compaction/collector.ts";
import { type ArchiveList, summaryOf } from "../../src/format/archive-list.ts";
import { EMPTY_MANIFEST, type Manifest } from "../../src/format/manifest-codec.ts";
import { archiveListPath, archivePath, retiredListPath, runPaths } from "../../src/format/paths.ts";
import { encodeRetiredList } from "../../src/format/retired-list.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { run } from "./arbitraries.ts";

const at = (base: number, digit = "0"): string => runPaths(base, digit.repeat(16)).path;

const archived = (base: number, digit: string): string =>
  archivePath({ period: "2026-Q4", base, rand: digit.repeat(16) });

test("garbage is what an earlier base left behind and no manifest mentions", () => {
  const kept = run(1, 1);
  const manifest = {
    ...EMPTY_MANIFEST,
    generation: 7,
    collected: 5,
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

test("archives that lists name are mentioned, and none is judged while a list was not read", () => {
  const path = archiveListPath(2, "a".repeat(16));
  const content = [{ period: "2026-Q4", path: archived(1, "a"), records: 1 }];
  const list = summaryOf(content, path, "00000000");
  const withLists = (...lists: ArchiveList[]): Manifest => ({
    ...EMPTY_MANIFEST,
    generation: 7,
    collected: 5,
    listedArchives: { lists, periods: ["2026-Q4"] },
  });
  const other = archiveListPath(3, "b".repeat(16));
  const listed = [path, other, archived(1, "a"), archived(1, "b"), at(4, "b")];
  expect(orphans(withLists(list), listed)).toEqual([other, archived(1, "b"), at(4, "b")]);
  const unread = { ...list, content: undefined };
  expect(orphans(withLists(unread), listed)).toEqual([other, at(4, "b")]);
  expect(orphans(withLists(list, { ...unread, path: other }), listed)).toEqual([at(4, "b")]);
});

test("of archives too, but never one of the original, or an application's own", () => {
  const info = { period: "2026-Q4", records: 1 };
  const manifest = {
    ...EMPTY_MANIFEST,
    generation: 7,
    collected: 5,
    archive: [
      { ...info, path: archived(1, "a") },
      { ...info, path: "archive/archive-2026-Q1.json" },
    ],
  };
  const listed = [
    archived(1, "a"),
    "archive/archive-2026-Q1.json",
    archived(4, "b"),
    archived(0, "c"),
    // These may still be published, or are of a later base.
    archived(5, "d"),
    archived(6, "e"),
    // Not ours.
    "archive/archive-2026-Q2.json",
    "archive/archive-2026-Q2-1.jsonl",
    "archive/notes.txt",
  ];
  expect(orphans(manifest, listed)).toEqual([archived(4, "b"), archived(0, "c")]);
  expect(orphans(EMPTY_MANIFEST, listed)).toEqual([]);
});

test("a list that no manifest mentions is garbage, too", () => {
  const rand = "e".repeat(16);
  const manifest = { ...EMPTY_MANIFEST, generation: 1, collected: 1 };
  expect(orphans(manifest, [retiredListPath(0, rand)])).toEqual([retiredListPath(0, rand)]);
  const mentioning = {
    ...manifest,
    retired: [{ path: retiredListPath(0, rand), list: true }] as const,
  };
  expect(orphans(mentioning, [retiredListPath(0, rand)])).toEqual([]);
});

test("what due lists name is deleted, but for a list that is damaged or gone", async () => {
  const backend = new MemoryBackend();
  await backend.initialize("x", { readOnly: false });
  const put = (path: string, content: Uint8Array): Promise<void> =>
    backend.writeBlob(path, content);
  const due = (path: string) => ({ path, list: true, at: 1 }) as const;
  await put("ops/ops-1.jsonl", Buffer.from("x"));
  await put("ops/ops-2.jsonl", Buffer.from("x"));
  await put("good", encodeRetiredList(["ops/ops-1.jsonl", "ops/ops-0.jsonl"]));
  await put("bad", encodeRetiredList(["ops/ops-2.jsonl"]).subarray(1));
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  const retired = [due("bad"), due("gone"), due("good"), { path: "ops/ops-2.jsonl", at: 1 }];
  expect(await deleteListed({ backend, onWarning }, retired)).toBe(2);
  expect(await backend.listBlobs("ops")).toEqual(["ops-2.jsonl"]);
  expect(warnings).toEqual([expect.stringContaining("their list is damaged: bad at byte 0")]);
  expect(await backend.listBlobs("")).toEqual(expect.arrayContaining(["bad", "good"]));
});
