import { expect, test } from "vitest";
import { FormatVersionError } from "../../src/core/errors.ts";
import { compactLog, scene, takeAll } from "./log-files.ts";
import { draft } from "./support.ts";

test("listing reads only what a file has grown by", async () => {
  const { backend, writer, log } = await scene();
  const own = writer();
  const reader = log();
  await own.write(draft(["a"], 1));
  expect((await reader.list()).segments).toHaveLength(1);
  const get = backend.get.bind(backend);
  const offsets: (number | undefined)[] = [];
  backend.get = (path, options) => {
    offsets.push(options?.range?.offset);
    return get(path, options);
  };
  expect((await reader.list()).segments).toHaveLength(1);
  expect(offsets).toEqual([]);
  const { ref } = await own.write(draft(["b"], 2));
  expect((await reader.list()).segments).toHaveLength(2);
  expect(offsets).toEqual([ref.range?.offset]);
});

test("listing may go on at the same time as another, and finds each flush once", async () => {
  const { writer, log } = await scene();
  const own = writer();
  const reader = log();
  for (let n = 1; n <= 5; n++) {
    await own.write(draft([`r${n}`], n));
    const [one, two] = await Promise.all([reader.list(), reader.list()]);
    expect(one.segments.map(({ lo }) => lo)).toEqual(Array.from({ length: n }, (_, at) => at + 1));
    expect(two.segments).toEqual(one.segments);
  }
});

test("listing refuses log files of others and ignores what is no log", async () => {
  const { backend, log } = await scene();
  const foreign = ["README", "._x.jsonl", ".x/ops-1.jsonl", "x (copy).jsonl", "x.jsonl~"];
  for (const name of foreign) await backend.writeBlob(`ops/${name}`, "x");
  expect((await log().list()).segments).toEqual([]);
  await backend.writeBlob("ops/ops-1766400000000.jsonl.1.jsonl", "x");
  await expect(log().list()).rejects.toThrow(FormatVersionError);
  await expect(takeAll(log())).rejects.toThrow("a newer one wrote it");
  await backend.deleteBlob("ops/ops-1766400000000.jsonl.1.jsonl");
  await compactLog(log());
  expect((await backend.listBlobs("ops")).toSorted()).toEqual(
    foreign.map((name) => name.replace(/\/.*/, "")).toSorted(),
  );
});

test("log files of the original are no part of ours, but are reported when they are not empty", async () => {
  const { backend, log } = await scene();
  await backend.writeBlob("ops/agent-a b-1766400000000.jsonl", "");
  expect(await log().list()).toMatchObject({ segments: [], corrupt: [], legacyLog: undefined });
  await backend.writeBlob("ops/ops-1766400000000.jsonl", "x");
  expect((await log().list()).legacyLog).toBe("ops/ops-1766400000000.jsonl");
  expect(await takeAll(log())).toMatchObject({ units: [], leftOut: false });
});

test("a file that was deleted since it was listed is gone", async () => {
  const { backend, writer, log } = await scene();
  const { ref } = await writer().write(draft(["a"], 1));
  await backend.delete([ref.path]);
  const reads: string[] = [];
  for await (const { status } of log().read([ref])) reads.push(status);
  expect(reads).toEqual(["gone"]);
});
