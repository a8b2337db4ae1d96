/** System calls that fail as a disk or a network file system fails them. */
import type { FileSystem, OpenFile } from "../../src/storage/fs/file-system.ts";
import { failure } from "./disk-nodes.ts";

/** Whether the call that fails has taken effect all the same, which only a changing one can. */
export type SystemFate = "works" | "fails" | "fails after its effect";

export interface FailingFiles {
  readonly files: FileSystem;
  /** Made since it was armed, as "link /disk/store/manifest.json". */
  readonly calls: readonly string[];
  /** Counts from 0 again. */
  arm(fateOf: (at: number) => SystemFate): void;
  disarm(): void;
}

const READS = new Set(["access", "lstat", "stat", "readdir", "read", "fstat"]);

export function changes(call: string): boolean {
  return !READS.has(call.split(" ", 1)[0] ?? "");
}

/** @param code what a failing call reports */
export function failingFiles(inner: FileSystem, code: string): FailingFiles {
  let calls: string[] = [];
  let fateOf: ((at: number) => SystemFate) | undefined;

  const intercept = async <T>(name: string, path: string, work: () => Promise<T>): Promise<T> => {
    const fate = fateOf?.(calls.push(`${name} ${path}`) - 1) ?? "works";
    if (fate === "works") return work();
    if (fate === "fails after its effect") await work();
    throw failure(code, name);
  };
  const opened = (file: OpenFile, path: string): OpenFile => ({
    write: (bytes, offset) => intercept("write", path, () => file.write(bytes, offset)),
    read: (...args) => intercept("read", path, () => file.read(...args)),
    stat: (options) => intercept("fstat", path, () => file.stat(options)),
    utimes: (...times) => intercept("utimes", path, () => file.utimes(...times)),
    sync: () => intercept("sync", path, () => file.sync()),
    datasync: () => intercept("datasync", path, () => file.datasync()),
    close: () => intercept("close", path, () => file.close()),
  });
  const files: FileSystem = {
    access: (path, mode) => intercept("access", path, () => inner.access(path, mode)),
    copyFile: (from, to, mode) => intercept("copy", to, () => inner.copyFile(from, to, mode)),
    link: (from, to) => intercept("link", to, () => inner.link(from, to)),
    lstat: (path) => intercept("lstat", path, () => inner.lstat(path)),
    mkdir: (path, options) => intercept("mkdir", path, () => inner.mkdir(path, options)),
    open: (path, flags, mode) =>
      intercept("open", path, async () => opened(await inner.open(path, flags, mode), path)),
    readdir: (path) => intercept("readdir", path, () => inner.readdir(path)),
    rename: (from, to) => intercept("rename", to, () => inner.rename(from, to)),
    rmdir: (path) => intercept("rmdir", path, () => inner.rmdir(path)),
    stat: (path) => intercept("stat", path, () => inner.stat(path)),
    unlink: (path) => intercept("unlink", path, () => inner.unlink(path)),
  };
  return {
    files,
    get calls() {
      return calls;
    },
    arm: (fate) => {
      calls = [];
      fateOf = fate;
    },
    disarm: () => {
      fateOf = undefined;
    },
  };
}
