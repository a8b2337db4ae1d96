import { describe, expect, test } from "vitest";
import { InvalidArgumentError } from "../../src/core/errors.ts";
import { DEFAULT_SETTINGS, resolveSettings, SETTING_NAMES } from "../../src/core/settings.ts";

test("the defaults are those of the protocol", () => {
  expect(resolveSettings({})).toEqual({
    leaseTtlMs: 60_000,
    gcGraceMs: 3_600_000,
    segmentGraceMs: 60_000,
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
