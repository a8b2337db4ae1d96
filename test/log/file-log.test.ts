/** FENCE: no acknowledgement into a file that may be sealed or deleted. */
import { describe, expect, test, vi } from "vitest";
import { UnavailableError, WriteOutcomeUnknownError } from "../../src/core/errors.ts";
import { FileLog } from "../../src/log/file-log.ts";
import type { LogUnit } from "../../src/log/log.ts";
import type { AppendableStorage, Dated } from "../../src/storage/backend.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import { afterAppend, compactLog, restOf, scene, takeAll } from "./log-files.ts";
import { draft } from "./support.ts";

describe("a writer", () => {
  test("appends its flushes to one file; each is found by its place", async () => {
    const { writer, log, files } = await scene();
    const own = writer();
    const written = [await own.write(draft(["a", "b"], 1)), await own.write(draft(["c"], 3))];
    const { segments, corrupt } = await log().list();
    expect(segments).toEqual(written.map(({ ref }) => ref));
    expect(corrupt).toEqual([]);
    expect(new Set(written.map(({ writerNonce: w }) => w)).size).toBe(2);
    expect(await files()).toEqual(["1.jsonl"]);
    await own.close();
  });

  test("whose clone appends to another file shares no version with it", async () => {
    const { backend } = await scene();
    // The same dice and the same clock.
    const clones = [0, 1].map(() => {
      return new FileLog(backend, backend.appendable, manualRuntime()).createWriter("a");
    });
    const written = [];
    for (const clone of clones) written.push(await clone.write(draft(["x"], 5)));
    expect(new Set(written.map(({ ref }) => ref.path)).size).toBe(2);
    expect(new Set(written.map(({ writerNonce: w }) => w)).size).toBe(2);
  });

  test("whose clone appends to the same open file shares no version with it", async () => {
    const { backend } = await scene();
    const { appendable } = backend;
    const opened = new Map<string, ReturnType<AppendableStorage["create"]>>();
    // A snapshot of the machine was taken while the file was open.
    const create: AppendableStorage["create"] = (path) => {
      const file = opened.get(path) ?? appendable.create(path);
      opened.set(path, file);
      return file;
    };
    const cloned = { create, exists: (path: string) => appendable.exists(path) };
    const clones = [0, 1].map(() => {
      return new FileLog(backend, cloned, manualRuntime()).createWriter("a");
    });
    const [left, right] = clones;
    const one = await left?.write(draft(["x"], 5, "left"));
    const two = await right?.write(draft(["x"], 5, "right"));
    expect(one?.ref.path).toBe(two?.ref.path);
    expect(one?.writerNonce).not.toBe(two?.writerNonce);
  });

  test("continues in the next file of its stream above 1 MB", async () => {
    const { writer, files, ids } = await scene();
    const own = writer();
    for (let n = 1; n <= 4; n++) await own.write(draft([`r${n}`], n, "x".repeat(600_000)));
    expect(await files()).toEqual(["1.jsonl", "2.jsonl"]);
    expect(await ids()).toEqual({ r1: 1, r2: 1, r3: 1, r4: 1 });
  });

  test("whose file is sealed before its append writes the flush again, elsewhere", async () => {
    const { writer, log, ids } = await scene();
    const own = writer();
    await own.write(draft(["a"], 1));
    await takeAll(log());
    const written = await own.write(draft(["b"], 2));
    expect(await ids()).toEqual({ a: 1, b: 2 });
    // What is acknowledged lies where no compaction that began before can delete it.
    expect((await log().list()).segments.filter(({ key }) => key === written.ref.key)).toHaveLength(
      1,
    );
  });

  test.each(["sealed", "sealed and deleted"])(
    "whose file is %s between append and check writes the flush again",
    async (what) => {
      const { backend, writer, log, ids } = await scene();
      const merged: string[] = [];
      let done = false;
      const own = writer(
        afterAppend(backend.appendable, async () => {
          if (done) return;
          done = true;
          if (what === "sealed") await takeAll(log());
          else merged.push(...(await compactLog(log())));
        }),
      );
      await own.write(draft(["a"], 1));
      if (what === "sealed") expect(await ids()).toEqual({ a: 2 });
      else expect([merged, await ids()]).toEqual([["a"], { a: 1 }]);
      await own.write(draft(["b"], 2));
      expect((await ids())["b"]).toBe(1);
    },
  );

  test("checks for a successor before it checks its file: both may go in between", async () => {
    const { backend, log, writer, ids } = await scene();
    const compactor = log();
    let units: readonly LogUnit[] | undefined;
    let isSecond = false;
    // Both are there at the first question, whichever that is, and neither is at the second.
    const asking = async (question: Promise<boolean>): Promise<boolean> => {
      const answer = await question;
      await compactor.deleteUnits(units ?? []);
      return answer;
    };
    const racing: AppendableStorage = {
      exists: (path) => asking(backend.appendable.exists(path)),
      create: async (path) => {
        const file = await backend.appendable.create(path);
        const append = async (bytes: Uint8Array): Promise<Dated> => {
          if (isSecond) units ??= (await takeAll(compactor)).units;
          return file?.append(bytes) ?? { dateMs: 0 };
        };
        return file && { ...restOf(file), append, isInPlace: () => asking(file.isInPlace()) };
      },
    };
    const own = writer(racing);
    await own.write(draft(["merged"], 1));
    isSecond = true;
    await own.write(draft(["a"], 2));
    expect(await ids()).toEqual({ a: 1 });
  });

  test("whose every file is sealed at once does not know the outcome", async () => {
    const { backend, writer, log } = await scene();
    const sealing = afterAppend(backend.appendable, () => takeAll(log()));
    const writing = writer(sealing).write(draft(["a"], 1));
    await expect(writing).rejects.toThrow(WriteOutcomeUnknownError);
    await expect(writing).rejects.toThrow("files in a row were sealed");
  });

  test("that cannot look whether it is fenced does not know the outcome", async () => {
    const { backend, writer } = await scene();
    const exists = (): Promise<boolean> => Promise.reject(new UnavailableError("EIO"));
    const own = writer({ create: (path) => backend.appendable.create(path), exists });
    await expect(own.write(draft(["a"], 1))).rejects.toThrow(WriteOutcomeUnknownError);
  });

  test("never appends again to a file that an append failed in", async () => {
    const { backend, writer, ids, files } = await scene();
    let failing = true;
    const torn: AppendableStorage = {
      exists: (path) => backend.appendable.exists(path),
      create: async (path) => {
        const file = await backend.appendable.create(path);
        if (file === undefined || !failing) return file;
        const append = async (bytes: Uint8Array): Promise<never> => {
          await file.append(bytes.subarray(0, bytes.length / 2));
          throw new WriteOutcomeUnknownError("half of it");
        };
        return { ...restOf(file), append };
      },
    };
    const own = writer(torn);
    await expect(own.write(draft(["a"], 1))).rejects.toThrow(WriteOutcomeUnknownError);
    failing = false;
    await own.write(draft(["b"], 2));
    await own.write(draft(["c"], 3));
    expect(await ids()).toEqual({ b: 1, c: 1 });
    expect(await files()).toEqual(["1.jsonl", "1.jsonl"]);
  });
});

describe("a compaction", () => {
  test("seals what is being appended to, reads it after that, deletes it before its seal", async () => {
    const { backend, writer, log, files } = await scene();
    await writer().write(draft(["a"], 1));
    const deleted: string[] = [];
    const remove = backend.delete.bind(backend);
    backend.delete = async (paths) => {
      deleted.push(...paths.map((path) => path.slice(-7)));
      await remove(paths);
    };
    const merged = await compactLog(log(), async () => {
      expect(await files()).toEqual(["1.jsonl", "2.jsonl"]);
    });
    expect([merged, deleted, await files()]).toEqual([["a"], ["1.jsonl", "2.jsonl"], []]);
  });

  test("reads what was acknowledged while it was about to seal; a file goes before its seal", async () => {
    const { backend, writer, ids } = await scene();
    const own = writer();
    await own.write(draft(["a"], 1));
    const late: AppendableStorage = {
      exists: (path) => backend.appendable.exists(path),
      create: async (path) => {
        await own.write(draft(["b"], 2));
        return backend.appendable.create(path);
      },
    };
    const spy = vi.spyOn(backend, "delete");
    expect(await compactLog(new FileLog(backend, late, manualRuntime()))).toEqual(["a", "b"]);
    expect(await ids()).toEqual({});
    const deleted = spy.mock.calls.flatMap(([paths]) => paths);
    expect(deleted.map((path) => path.slice(-8))).toEqual([".1.jsonl", ".2.jsonl"]);
  });

  test("leaves a successor that its owner uses already", async () => {
    const { backend, writer, log, ids } = await scene();
    const own = writer();
    await own.write(draft(["a"], 1, "x".repeat(1_100_000)));
    const compactor = log();
    // The owner makes file 2 in the moment in which the compactor wants to seal file 1 by it.
    const create = backend.appendable.create.bind(backend.appendable);
    let raced = false;
    const racing: AppendableStorage = {
      exists: (path) => backend.appendable.exists(path),
      create: async (path) => {
        if (!raced) {
          raced = true;
          await own.write(draft(["b"], 2));
        }
        return create(path);
      },
    };
    const slow = new FileLog(backend, racing, manualRuntime());
    expect(await compactLog(slow)).toEqual(["a"]);
    expect(await ids()).toEqual({ b: 1 });
    expect(await compactLog(compactor)).toEqual(["b"]);
  });

  test("removes an empty file whose predecessor is gone, and no other until it is old", async () => {
    const { backend, runtime, log, files } = await scene();
    const stream = "ops/ops-1-0123456789abcdef";
    for (const k of [1, 5])
      await (await backend.appendable.create(`${stream}.${k}.jsonl`))?.close();
    expect(await compactLog(log())).toEqual([]);
    expect(await files()).toEqual(["1.jsonl"]);
    await runtime.advance(3_700_000);
    await compactLog(log());
    expect(await files()).toEqual([]);
  });

  test("an old seal stays while the file that it seals is there", async () => {
    const { backend, runtime, log, writer, files, ids } = await scene();
    await writer().write(draft(["a"], 1));
    const [path = ""] = (await log().list()).segments.map((segment) => segment.path);
    // A compactor that crashed has sealed it.
    await (await backend.appendable.create(path.replace(/1\.jsonl$/, "2.jsonl")))?.close();
    await runtime.advance(3_700_000);
    const compactor = log();
    const { units } = await takeAll(compactor);
    expect(units.flatMap(({ paths }) => paths)).toEqual([path]);
    expect(await files()).toEqual(["1.jsonl", "2.jsonl"]);
    await compactor.deleteUnits(units);
    await compactLog(log());
    expect([await files(), await ids()]).toEqual([[], {}]);
  });

  test("a client's clock does not make an empty file old", async () => {
    const { backend, files } = await scene();
    await (await backend.appendable.create("ops/ops-1-0123456789abcdef.1.jsonl"))?.close();
    const ahead = manualRuntime(Date.now() + 1e9);
    await compactLog(new FileLog(backend, backend.appendable, ahead));
    expect(await files()).toEqual(["1.jsonl"]);
  });

  test("seals an empty file before it removes it: its owner may have stopped right there", async () => {
    const { backend, runtime, log, writer, ids } = await scene();
    const compactor = log();
    let units: readonly LogUnit[] | undefined;
    const stopping: AppendableStorage = {
      exists: (path) => backend.appendable.exists(path),
      create: async (path) => {
        const file = await backend.appendable.create(path);
        const append = async (bytes: Uint8Array): Promise<Dated> => {
          if (units === undefined) {
            await runtime.advance(3_700_000);
            ({ units } = await takeAll(compactor));
          }
          return file?.append(bytes) ?? { dateMs: 0 };
        };
        return file && { ...restOf(file), append };
      },
    };
    await writer(stopping).write(draft(["a"], 1));
    await compactor.deleteUnits(units ?? []);
    expect(await ids()).toEqual({ a: 1 });
  });

  test("keeps a file with damage in it, whole", async () => {
    const { backend, writer, log, ids } = await scene();
    const own = writer();
    const written = [await own.write(draft(["a"], 1)), await own.write(draft(["b"], 2))];
    const path = written[0]?.ref.path ?? "";
    const bytes = await backend.readBlob(path);
    bytes[40] = 0x7f;
    await backend.writeBlob(path, bytes);
    const input = await takeAll(log());
    expect(input).toMatchObject({ leftOut: true, corrupt: [expect.any(Error)] });
    expect(await compactLog(log())).toEqual(["b"]);
    expect(await ids()).toEqual({ b: 1 });
    expect((await backend.readBlob(path)).equals(bytes)).toBe(true);
  });
});
