/** What a disk in memory consists of, and what of each part is still on its way to the medium. */
import type { DirectoryEntry, FileStats, OpenFile } from "../../src/storage/fs/file-system.ts";

export interface FileNode {
  readonly kind: "file";
  readonly ino: bigint;
  links: number;
  mtimeNs: bigint;
  /** What readers see. */
  content: Uint8Array;
  /** What the medium surely has. */
  durable: Uint8Array;
  /** Since the last sync, oldest first. */
  unsynced: readonly UnsyncedWrite[];
}

export interface UnsyncedWrite {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface DirectoryNode {
  readonly kind: "directory";
  readonly ino: bigint;
  readonly entries: Map<string, Node>;
  /** What the medium surely has. */
  durable: ReadonlyMap<string, Node>;
  /** What each name stood for after each change since the last sync, oldest first. */
  readonly unsynced: Map<string, readonly (Node | undefined)[]>;
}

export type Node = FileNode | DirectoryNode;

export function newFile(ino: bigint, mtimeNs: bigint, content = new Uint8Array()): FileNode {
  return { kind: "file", ino, links: 0, mtimeNs, content, durable: content, unsynced: [] };
}

export function newDirectory(ino: bigint, entries = new Map<string, Node>()): DirectoryNode {
  return { kind: "directory", ino, entries, durable: new Map(entries), unsynced: new Map() };
}

export function writeTo(file: FileNode, bytes: Uint8Array, offset = file.content.length): void {
  const copy = Uint8Array.from(bytes);
  file.unsynced = [...file.unsynced, { offset, bytes: copy }];
  const [before, after] = [
    file.content.subarray(0, offset),
    file.content.subarray(offset + copy.length),
  ];
  file.content = Uint8Array.from(Buffer.concat([before, copy, after]));
}

export function sync(node: Node): void {
  if (node.kind === "file") {
    node.durable = node.content;
    node.unsynced = [];
    return;
  }
  node.durable = new Map(node.entries);
  node.unsynced.clear();
}

export function kindOf({ kind }: Node): Omit<DirectoryEntry, "name"> {
  return {
    isFile: () => kind === "file",
    isDirectory: () => kind === "directory",
    isSymbolicLink: () => false,
  };
}

export function statsOf(node: Node): FileStats {
  const isFile = node.kind === "file";
  return {
    dev: 1n,
    ino: node.ino,
    nlink: isFile ? BigInt(node.links) : 2n,
    size: isFile ? BigInt(node.content.length) : 0n,
    mtimeNs: isFile ? node.mtimeNs : 0n,
    ...kindOf(node),
  };
}

/** An error as node:fs reports it. */
export function failure(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: ${syscall} on a disk of a test`), { code, syscall });
}

export interface NodeHooks {
  /** Told what changed. */
  readonly onStep: (what: string) => void;
  readonly freeBytes: () => number;
}

/** Files are only ever written at their end here. */
export function openNode(node: Node, { onStep, freeBytes }: NodeHooks): OpenFile {
  const file = (): FileNode => {
    if (node.kind === "directory") throw failure("EISDIR", "read");
    return node;
  };
  const syncNode = async (): Promise<void> => {
    await Promise.resolve();
    sync(node);
    onStep("sync");
  };
  let end = 0;
  return {
    write: async (bytes, offset) => {
      await Promise.resolve();
      const taken = Math.min(bytes.length - offset, freeBytes());
      if (taken <= 0 && bytes.length > offset) throw failure("ENOSPC", "write");
      writeTo(file(), bytes.subarray(offset, offset + taken), end);
      end += taken;
      onStep("write");
      return { bytesWritten: taken };
    },
    read: async (buffer, offset, length, position) => {
      await Promise.resolve();
      const part = file().content.subarray(position, position + length);
      buffer.set(part, offset);
      return { bytesRead: part.length };
    },
    stat: async () => {
      await Promise.resolve();
      return statsOf(node);
    },
    utimes: async (_, mtime) => {
      await Promise.resolve();
      file().mtimeNs = BigInt(Math.round(mtime * 1_000_000)) * 1_000n;
    },
    sync: syncNode,
    datasync: syncNode,
    close: () => Promise.resolve(),
  };
}
