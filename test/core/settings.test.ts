import { describe, expect, test } from "vitest";
import { InvalidArgumentError } from "../../src/core/errors.ts";
import { decodeManifest, EMPTY_MANIFEST, encodeManifest } from "../../src/format/manifest-codec.ts";
import {
  DEFAULT_SETTINGS,
  lagMsMax,
  purgeGraceMs,
  resolveSettings,
  SETTING_NAMES,
} from "../../src/core/settings.ts";

test("the defaults are those of the protocol", () => {
  expect(resolveSettings({})).toEqual({
    leaseTtlMs: 60_000,
    gcGraceMs: 3_600_000,
    eraseAfterMs: 604_800_000,
    segmentGraceMs: 60_000,
    guardGraceMs: 60_000,
    tombstoneGraceMs: 86_400_000,
    writerLagMs: 3_600_000,
    writeTimeoutMs: 20_000,
    refreshEveryMs: 60_000,
  });
  expect(SETTING_NAMES.toSorted()).toEqual(Object.keys(DEFAULT_SETTINGS).toSorted());
});

test("undefined means the default, 0 means at once, other names are not looked at", () => {
  const none = Object.fromEntries(SETTING_NAMES.map((name) => [name, undefined]));
  expect(resolveSettings(none)).toEqual(DEFAULT_SETTINGS);
  expect(resolveSettings({ gcGraceMs: 0, backend: "x" }).gcGraceMs).toBe(0);
});

describe.each(SETTING_NAMES)("%s", (name) => {
  test.each([-1, Number.NaN, Infinity, "1", true, {}, [], 1n, () => 1])("cannot be %s", (value) => {
    expect(() => resolveSettings({ [name]: value })).toThrow(InvalidArgumentError);
    expect(() => resolveSettings({ [name]: value })).toThrow(
      `option ${name} must be a non-negative number of ms, found `,
    );
  });

  test.each([3_155_760_000_001, 1e16, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE])(
    "cannot be %d ms: it is written, and added to dates",
    (value) => {
      expect(() => resolveSettings({ [name]: value })).toThrow(InvalidArgumentError);
      expect(() => resolveSettings({ [name]: value })).toThrow(
        `option ${name} must be at most 3155760000000 ms (a hundred years), found `,
      );
    },
  );
});

test("a tombstone is remembered for at least twice the time a write may lag", () => {
  const resolve = (tombstoneGraceMs: number, writerLagMs: number): unknown =>
    resolveSettings({ tombstoneGraceMs, writerLagMs });
  expect(resolve(2_000, 1_000)).toMatchObject({ tombstoneGraceMs: 2_000, writerLagMs: 1_000 });
  expect(resolve(0, 0)).toMatchObject({ tombstoneGraceMs: 0, writerLagMs: 0 });
  expect(() => resolve(1_999, 1_000)).toThrow("found 1999 and 1000");
  expect(() => resolveSettings({ tombstoneGraceMs: 7_199_999 })).toThrow(InvalidArgumentError);
  expect(() => resolveSettings({ writerLagMs: 43_200_001 })).toThrow(InvalidArgumentError);
});

test("the longest that may be given can be stored", () => {
  const longest = 3_155_760_000_000;
  const settings = resolveSettings({
    ...Object.fromEntries(SETTING_NAMES.map((name) => [name, longest])),
    writerLagMs: longest / 2,
  });
  const { segmentGraceMs } = settings;
  const tombstoneGraceMs = purgeGraceMs(settings, 60_000);
  const manifest = { ...EMPTY_MANIFEST, generation: 1, segmentGraceMs, tombstoneGraceMs };
  expect(decodeManifest(encodeManifest(manifest), "manifest.json")).toEqual(manifest);
});

test("a purge waits for whatever may count that was not listed, and four dates that may be wrong", () => {
  const waits = (options: Record<string, number>, skewMs = 60_000): number =>
    purgeGraceMs(resolveSettings(options), skewMs);
  expect(waits({})).toBe(86_400_000);
  expect(waits({ tombstoneGraceMs: 120_000, writerLagMs: 60_000 })).toBe(300_001);
  expect(waits({ tombstoneGraceMs: 0, writerLagMs: 0 })).toBe(300_001);
  expect(waits({ tombstoneGraceMs: 0, writerLagMs: 0 }, 0)).toBe(1);
  expect(waits({ tombstoneGraceMs: 400_000, writerLagMs: 200_000 })).toBe(440_001);
});

test("a flush counts for as long as is promised, however long its own process would allow", () => {
  const counts = (writerLagMs: number, promisedMs?: number): number =>
    lagMsMax({ ...DEFAULT_SETTINGS, writerLagMs }, promisedMs, 60_000);
  expect(counts(3_600_000, 86_400_000)).toBe(3_600_000);
  expect(counts(3_600_000, 600_001)).toBe(360_000);
  expect(counts(1_000, 300_001)).toBe(1_000);
  expect(counts(3_600_000), "no manifest promises anything").toBe(60_000);
});
