/** Arguments and options that cannot be used: refused by name, before anything is touched. */
import { describe, expect, test } from "vitest";
import { InvalidArgumentError, OpslogError } from "../../src/core/errors.ts";
import { DEFAULT_SETTINGS } from "../../src/core/settings.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { compact } from "../../src/compaction/compact.ts";
import { OPTIONS } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";
import { setUp } from "./fixture.ts";
import { directoryMedium, memoryMedium } from "./media.ts";

/** What a JavaScript program, or an `any`, can pass. */
const untyped = (value: unknown): object => value as object;

const WRONG_OPTIONS: readonly (readonly [string, readonly unknown[]])[] = [
  ["checkpointThreshold", [0, -1, 1.5, Number.NaN, "100", null, {}, 5n]],
  ["checkpointOnClose", ["yes", 0, {}]],
  ["compression", ["gzip", "deflate-raw", null, true, 1, {}]],
  ["version", [0, -1, 1.5, "1", null, Infinity, 2 ** 53, 1e300]],
  ["migrate", ["f", 1, {}, null]],
  ["readOnly", [1, "true", []]],
  ["skipLoad", [1, "false"]],
  ["writeMode", ["fast", 1, null]],
  ["backend", [{}, "fs", 1, null, Object.create(null)]],
  ["freezeRecords", [0]],
  ["strictHydration", ["on"]],
  ["blindWrites", [2]],
  ["onCorrupt", ["ignore", 1, null, Object.create(null)]],
  ["onWarning", ["stderr", 1]],
  ["agentId", ["", 7, null, "a".repeat(257)]],
  ["groupCommitSize", [-1, 1.5, "50", {}]],
  ["groupCommitMs", [-1, 1.5, "100", {}]],
  ["freshness", ["weak", 1, null, {}, { maxStaleMs: -1 }, { maxStaleMs: "1" }]],
  ["prices", ["cheap", 1]],
  ["costBudget", ["low", -1, { usd: "1" }]],
  ["backlogSegments", [0, -1, 1.5, "1"]],
  ["onBacklog", ["stderr", 1, {}]],
  ...Object.keys(DEFAULT_SETTINGS).map(
    (name) => [name, [-1, Number.NaN, Infinity, "1", {}, 5n, []]] as const,
  ),
];

test("every option is among them", () => {
  const named = WRONG_OPTIONS.map(([name]) => name);
  const options = [...Object.keys(OPTIONS), ...Object.keys(DEFAULT_SETTINGS)];
  expect(named.toSorted()).toEqual(options.toSorted());
});

describe("open", () => {
  test.each(WRONG_OPTIONS)("option %s is checked", async (name, values) => {
    const { medium } = await setUp(directoryMedium);
    for (const value of values) {
      const options = untyped({ backend: medium.backend(), [name]: value });
      const opening = Store.open<unknown>(medium.location, options);
      await expect(opening, `${name}: ${typeof value}`).rejects.toThrow(InvalidArgumentError);
      await expect(opening).rejects.toThrow(name);
      await expect(opening).rejects.toThrow(/expected|must be/);
    }
    expect(await medium.contents()).toEqual(new Map());
  });

  test("an unknown option is refused, with those there are", async () => {
    const { medium } = await setUp(directoryMedium);
    for (const name of ["readonly", "__proto__x", "agentID", ""]) {
      const opening = Store.open<unknown>(medium.location, untyped({ [name]: true }));
      await expect(opening).rejects.toThrow(InvalidArgumentError);
      await expect(opening).rejects.toThrow(`unknown option ${JSON.stringify(name)}`);
      await expect(opening).rejects.toThrow(/known are agentId, .*readOnly, /);
    }
    for (const options of [null, 7, "readOnly"]) {
      const opening = Store.open<unknown>(medium.location, untyped(options));
      await expect(opening).rejects.toThrow(InvalidArgumentError);
    }
    expect(await medium.contents()).toEqual(new Map());
  });

  test("a set of settings that cannot be safe is refused", async () => {
    const { medium } = await setUp(memoryMedium);
    const backend = medium.backend();
    const opening = Store.open<unknown>("x", { backend, tombstoneGraceMs: 100, writerLagMs: 51 });
    await expect(opening).rejects.toThrow(InvalidArgumentError);
    await expect(opening).rejects.toThrow("found 100 and 51");
    await expect(Store.open<unknown>("x", { backend, tombstoneGraceMs: 1 })).rejects.toThrow(
      "3600000",
    );
    await expect(compact("x", { backend, writerLagMs: 43_200_001 })).rejects.toThrow(
      "tombstoneGraceMs must be at least twice writerLagMs",
    );
  });

  test("a location that cannot be one is refused", async () => {
    const wrong: unknown[] = [undefined, null, 7, {}, ["./data"]];
    for (const location of wrong) {
      const opening = Store.open<unknown>(location as string);
      await expect(opening).rejects.toThrow(InvalidArgumentError);
      await expect(compact(location as string)).rejects.toThrow("location must be a string");
    }
    await expect(Store.open<unknown>("")).rejects.toThrow(
      "The location is empty: give a directory",
    );
    for (const location of ["s3://bucket/prefix", "S3://b", "https://example.org/x"]) {
      const opening = Store.open<unknown>(location);
      await expect(opening).rejects.toThrow(InvalidArgumentError);
      await expect(opening).rejects.toThrow(`${location} needs a backend`);
    }
  });

  test("what is a file is no location", async () => {
    const { medium } = await setUp(directoryMedium);
    const backend = medium.backend();
    await backend.initialize(medium.location, { readOnly: false });
    await backend.writeBlob("file", "mine");
    const opening = Store.open<unknown>(`${medium.location}/file`);
    await expect(opening).rejects.toThrow(InvalidArgumentError);
    await expect(opening).rejects.toThrow(`not a directory: ${medium.location}/file`);
    expect((await backend.readBlob("file")).toString()).toBe("mine");
  });

  test("writeMode group and async with agentId are immediate, with a warning", async () => {
    const { open, warnings, flushes } = await setUp(memoryMedium);
    for (const writeMode of ["group", "async"] as const) {
      const store = await open({ writeMode, agentId: writeMode });
      await store.set(writeMode, 1);
    }
    expect(await flushes()).toBe(2);
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain('with agentId it is "immediate"');
  });
});

describe("compact", () => {
  test("options are checked", async () => {
    const backend = new MemoryBackend();
    const wrong = [
      { readOnly: true },
      { agentId: "a" },
      { leaseTtlMs: "1" },
      { full: "yes" },
      { compression: "gzip" },
      { backend: {} },
      { backend: null },
      { onWarning: "stderr" },
      null,
    ];
    for (const options of wrong) {
      await expect(compact("x", untyped(options))).rejects.toThrow(InvalidArgumentError);
    }
    expect((await compact("x", { backend, full: undefined, leaseTtlMs: undefined })).outcome).toBe(
      "idle",
    );
  });
});

describe("a backend instance", () => {
  test.each(["memory", "directory"])("is shut down by the last to use it: %s", async (name) => {
    const { medium } = await setUp(name === "memory" ? memoryMedium : directoryMedium);
    const backend = medium.backend();
    const one = await Store.open<unknown>(medium.location, { backend, agentId: "one" });
    const two = await Store.open<unknown>(medium.location, { backend, agentId: "two" });
    await two.set("a", 1);
    await one.close();
    await compact(medium.location, { backend });
    await two.set("b", 2);
    await two.close();
    await two.open(medium.location, { backend, readOnly: true });
    expect(two.count()).toBe(2);
    await two.close();
  });

  test("that is bound to one location does not serve another at the same time", async () => {
    const backend = new MemoryBackend();
    await using users = await Store.open<unknown>("users", { backend });
    await users.set("u", 1);
    const outcome = await Store.open<unknown>("orders", { backend }).catch(
      (error: unknown) => error,
    );
    expect(outcome).toBeInstanceOf(InvalidArgumentError);
    await users.set("v", 2);
    await users.close();
    const orders = await Store.open<unknown>("orders", { backend });
    expect(orders.entries()).toEqual([]);
    await orders.close();
    const again = await Store.open<unknown>("users", { backend });
    expect(again.count()).toBe(2);
    await again.close();
  });
});

test("every refusal carries a code, an action and a message for people", async () => {
  const error = await Store.open<unknown>("").catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(OpslogError);
  expect(error).toMatchObject({ code: "INVALID_ARGUMENT", action: "fix-call" });
});
