import { expect, test } from "vitest";
import { TextSet } from "../../src/core/text-set.ts";
import { Survey } from "../../src/compaction/survey.ts";
import { EMPTY_MANIFEST } from "../../src/format/manifest-codec.ts";
import type { LogRef } from "../../src/log/log.ts";
import { summarize } from "../../src/view/live-segments.ts";

const ref = (lo: number, range?: LogRef["range"]): LogRef => {
  const path = `ops/${lo}`;
  return { key: path, path, range, lo, hi: lo, filter: "any", bytes: 1 };
};

function surveyOf(segments: readonly LogRef[]): Survey {
  const survey = new Survey();
  const writtenMs = (): Map<string, number> =>
    new Map(segments.map(({ path, lo }) => [path, lo * 10]));
  for (let at = 0; at < segments.length; at += 700) {
    const some = segments.slice(at, at + 700);
    const page = { segments: some, corrupt: [], legacyLog: undefined, writtenMs };
    survey.add({ ...page, dateMs: 100 + at, isLast: false });
  }
  return survey;
}

const naming = (refs: readonly LogRef[]) => ({
  ...EMPTY_MANIFEST,
  purgeFloor: 2,
  retired: [{ path: "list", list: true as const, retiredMs: 0, segments: summarize(refs) }],
});

test("a survey counts what waits, as a listing is sorted out, and knows the lowest clock of it", () => {
  const refs = Array.from({ length: 3_000 }, (_, n) => ref(n + 1));
  const survey = surveyOf(refs);
  expect(survey.count).toBe(3_000);
  expect([survey.firstDateMs, survey.lastDateMs]).toEqual([100, 2_900]);
  const all = { segments: 3_000, oldestMs: 10, lo: 1, unread: [] };
  expect(survey.waiting(EMPTY_MANIFEST)).toEqual(all);
  const manifest = naming(refs.slice(0, 1_000));
  expect(survey.waiting(manifest)).toEqual({
    segments: 2_000,
    oldestMs: 10_010,
    lo: 1_001,
    unread: [],
  });
});

test("where the digest does not show what is merged, lists are to be read", () => {
  const refs = Array.from({ length: 10 }, (_, n) => ref(n + 1));
  const survey = surveyOf(refs);
  const named = refs.filter(({ lo }) => lo % 2 === 0);
  const manifest = naming(named);
  // What begins at or below the floor waits to be deleted.
  expect(survey.waiting(manifest)).toEqual({ segments: 10, oldestMs: 10, lo: 3, unread: ["list"] });
  const merged = new TextSet();
  for (const { path } of named) merged.add(path);
  expect(survey.waiting(manifest, merged)).toEqual({
    segments: 5,
    oldestMs: 10,
    lo: 3,
    unread: [],
  });
});
