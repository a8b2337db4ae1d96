/** File logs on a directory of a test's own, and what a compaction does to them. */
import { onTestFinished } from "vitest";
import { FileLog } from "../../src/log/file-log.ts";
import { FileLogWriter } from "../../src/log/file-log-writer.ts";
import type { Log, OfferedLog } from "../../src/log/log.ts";
import type { AppendableStorage, AppendFile } from "../../src/storage/backend.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { manualRuntime, type ManualRuntime } from "../support/manual-runtime.ts";
import { tempDir } from "../support/temp-dir.ts";

export interface Scene {
  readonly backend: FsBackend;
  readonly runtime: ManualRuntime;
  /** What another process has: it remembers nothing. */
  log(): FileLog;
  writer(appendable?: AppendableStorage): FileLogWriter;
  /** All ids in the log, with how often each is there. */
  ids(): Promise<Record<string, number>>;
  files(): Promise<string[]>;
}

export async function scene(): Promise<Scene> {
  const directory = await tempDir();
  const runtime = manualRuntime(Date.now());
  const backend = new FsBackend({ fsync: false, runtime });
  await backend.initialize(directory.path, { readOnly: false });
  onTestFinished(async () => {
    await backend.shutdown();
    await directory[Symbol.asyncDispose]();
  });
  const log = (): FileLog => new FileLog(backend, backend.appendable, runtime);
  return {
    backend,
    runtime,
    log,
    writer: (appendable = backend.appendable) => new FileLogWriter(appendable, runtime, "a"),
    ids: async () => {
      const found: Record<string, number> = {};
      const reader = log();
      for await (const read of reader.read((await reader.list()).segments)) {
        if (read.status !== "found") throw new Error(`${read.ref.key} is ${read.status}`);
        for (const { id } of read.segments.flatMap(({ operations }) => operations))
          found[id] = (found[id] ?? 0) + 1;
      }
      return found;
    },
    files: async () =>
      (await backend.listBlobs("ops"))
        .map((name) => name.replace(/^.*\.(?=\d+\.jsonl)/, ""))
        .toSorted(),
  };
}

/** All parts of what a log offers to a compaction, as one. */
export async function takeAll(log: Pick<Log, "offer">): Promise<OfferedLog> {
  const parts: OfferedLog[] = [];
  for await (const part of log.offer()) parts.push(part);
  return {
    units: parts.flatMap(({ units }) => units),
    leftOut: parts.some(({ leftOut }) => leftOut),
    corrupt: parts.flatMap(({ corrupt }) => corrupt),
    dateMs: parts[0]?.dateMs ?? 0,
  };
}

/** One compaction: `before` runs between reading and deleting, where it publishes. */
export async function compactLog(
  log: Log,
  before: () => Promise<unknown> = async () => {},
): Promise<string[]> {
  const { units } = await takeAll(log);
  const ids: string[] = [];
  for await (const read of log.read(units.flatMap(({ segments }) => segments))) {
    if (read.status === "found")
      ids.push(...read.segments.flatMap(({ operations }) => operations.map(({ id }) => id)));
  }
  await before();
  await log.deleteUnits(units.filter(({ corrupt }) => !corrupt));
  return ids;
}

/** A file without its `append`, which a test has its own of. */
export function restOf(file: AppendFile): Omit<AppendFile, "append"> {
  return { isInPlace: () => file.isInPlace(), close: () => file.close() };
}

/** Does something each time the bytes of an append are on the disk, before the writer goes on. */
export function afterAppend(
  inner: AppendableStorage,
  action: (path: string) => Promise<unknown>,
): AppendableStorage {
  const wrap = (file: AppendFile, path: string): AppendFile => ({
    append: async (bytes) => {
      const dated = await file.append(bytes);
      await action(path);
      return dated;
    },
    ...restOf(file),
  });
  return {
    exists: (path) => inner.exists(path),
    create: async (path) => {
      const file = await inner.create(path);
      return file && wrap(file, path);
    },
  };
}
