/**
 * A file system in memory, of one size, that knows what of it is still on its way to the medium
 * (`power-cut.ts` makes use of that). Only what FsBackend needs of one; nothing in it waits.
 */
import { constants } from "node:fs";
import type {
  DirectoryEntry,
  FileStats,
  FileSystem,
  OpenFile,
} from "../../src/storage/fs/file-system.ts";
import { failure, kindOf, newDirectory, newFile, openNode } from "./disk-nodes.ts";
import { statsOf, writeTo } from "./disk-nodes.ts";
import type { DirectoryNode, FileNode, Node } from "./disk-nodes.ts";

export interface DiskStart {
  readonly nowMs: () => number;
  /** Default: an empty directory. */
  readonly root?: DirectoryNode;
  readonly inodes?: bigint;
}

export class MemoryDisk implements FileSystem {
  readonly root: DirectoryNode;
  readonly #nowMs: () => number;
  /** The highest inode number so far. */
  #inodes: bigint;
  /** Calls that need more fail with ENOSPC; a write takes what fits. */
  capacityBytes = Infinity;
  /** Called after everything that changes what is there, or what would survive a power cut. */
  onStep: (what: string) => void = () => undefined;

  constructor({ nowMs, root = newDirectory(1n), inodes = 1n }: DiskStart) {
    this.root = root;
    this.#nowMs = nowMs;
    this.#inodes = inodes;
  }

  /** To begin another disk with the same state. */
  get start(): DiskStart {
    return { root: this.root, inodes: this.#inodes, nowMs: this.#nowMs };
  }

  /** Of everything that has a name; each node takes one byte of its own. */
  get usedBytes(): number {
    const seen = new Set<Node>();
    const sizeOf = (node: Node): number => {
      if (seen.has(node)) return 0;
      seen.add(node);
      if (node.kind === "file") return node.content.length + 1;
      return [...node.entries.values()].reduce((sum, child) => sum + sizeOf(child), 1);
    };
    return sizeOf(this.root);
  }

  /** Undefined when nothing is there. */
  nodeAt(path: string): Node | undefined {
    let node: Node | undefined = this.root;
    for (const part of path.split("/").filter((name) => name !== "")) {
      if (node?.kind !== "directory") return undefined;
      node = node.entries.get(part);
    }
    return node;
  }

  async access(path: string): Promise<void> {
    await Promise.resolve();
    this.#find(path, "access");
  }

  async copyFile(from: string, to: string): Promise<void> {
    await Promise.resolve();
    const { content } = this.#findFile(from, "copyfile");
    this.#checkRoom(content.length + 1, "copyfile");
    const copy = this.#newFile();
    this.#name(to, copy, "copyfile");
    writeTo(copy, content);
    this.onStep(`copy ${to}`);
  }

  async link(from: string, to: string): Promise<void> {
    await Promise.resolve();
    this.#name(to, this.#findFile(from, "link"), "link");
    this.onStep(`link ${to}`);
  }

  async lstat(path: string): Promise<FileStats> {
    await Promise.resolve();
    return statsOf(this.#find(path, "lstat"));
  }

  async stat(path: string): Promise<FileStats> {
    return await this.lstat(path);
  }

  async mkdir(path: string, options?: { recursive: boolean }): Promise<string | undefined> {
    await Promise.resolve();
    if (options?.recursive !== true) {
      this.#makeDirectory(path);
      return undefined;
    }
    const parts = path.split("/").filter((part) => part !== "");
    const all = parts.map((_, depth) => `/${parts.slice(0, depth + 1).join("/")}`);
    const missing = all.filter((directory) => this.nodeAt(directory) === undefined);
    for (const directory of missing) this.#makeDirectory(directory);
    return missing[0];
  }

  /** Creates with "wx" and with O_CREAT, which comes with O_EXCL always. */
  async open(path: string, flags: string | number): Promise<OpenFile> {
    await Promise.resolve();
    const creates = typeof flags === "string" || (flags & constants.O_CREAT) !== 0;
    if (!creates) return this.#opened(this.#find(path, "open"), path);
    if (this.nodeAt(path) !== undefined) throw failure("EEXIST", "open");
    this.#checkRoom(1, "open");
    const file = this.#newFile();
    this.#name(path, file, "open");
    this.onStep(`create ${path}`);
    return this.#opened(file, path);
  }

  async readdir(path: string): Promise<DirectoryEntry[]> {
    await Promise.resolve();
    const { entries } = this.#findDirectory(path, "readdir");
    return [...entries].map(([name, node]) => ({ name, ...kindOf(node) }));
  }

  async rename(from: string, to: string): Promise<void> {
    await Promise.resolve();
    const file = this.#findFile(from, "rename");
    if (this.nodeAt(to) === file) return; // two names of one file: POSIX changes nothing
    this.#change(to, file, "rename");
    this.#change(from, undefined, "rename");
    this.onStep(`rename ${to}`);
  }

  async rmdir(path: string): Promise<void> {
    await Promise.resolve();
    if (this.#findDirectory(path, "rmdir").entries.size > 0) throw failure("ENOTEMPTY", "rmdir");
    this.#change(path, undefined, "rmdir");
    this.onStep(`rmdir ${path}`);
  }

  async unlink(path: string): Promise<void> {
    await Promise.resolve();
    this.#findFile(path, "unlink");
    this.#change(path, undefined, "unlink");
    this.onStep(`unlink ${path}`);
  }

  #newFile(): FileNode {
    return newFile(++this.#inodes, BigInt(Math.floor(this.#nowMs())) * 1_000_000n);
  }

  #makeDirectory(path: string): void {
    this.#checkRoom(1, "mkdir");
    this.#name(path, newDirectory(++this.#inodes), "mkdir");
    this.onStep(`mkdir ${path}`);
  }

  #opened(node: Node, path: string): OpenFile {
    return openNode(node, {
      onStep: (what) => this.onStep(`${what} ${path}`),
      freeBytes: () => this.capacityBytes - this.usedBytes,
    });
  }

  #find(path: string, syscall: string): Node {
    const node = this.nodeAt(path);
    if (node === undefined) throw failure("ENOENT", syscall);
    return node;
  }

  #findFile(path: string, syscall: string): FileNode {
    const node = this.#find(path, syscall);
    if (node.kind !== "file") throw failure("EISDIR", syscall);
    return node;
  }

  #findDirectory(path: string, syscall: string): DirectoryNode {
    const node = this.#find(path, syscall);
    if (node.kind !== "directory") throw failure("ENOTDIR", syscall);
    return node;
  }

  #name(path: string, node: Node, syscall: string): void {
    if (this.nodeAt(path) !== undefined) throw failure("EEXIST", syscall);
    this.#change(path, node, syscall);
  }

  /** What a name stands for from now on; undefined: it is gone. */
  #change(path: string, node: Node | undefined, syscall: string): void {
    const slash = path.lastIndexOf("/");
    const parent = this.#findDirectory(path.slice(0, slash), syscall);
    const name = path.slice(slash + 1);
    const before = parent.entries.get(name);
    if (before?.kind === "file") before.links--;
    if (node?.kind === "file") node.links++;
    if (node === undefined) parent.entries.delete(name);
    else parent.entries.set(name, node);
    parent.unsynced.set(name, [...(parent.unsynced.get(name) ?? []), node]);
  }

  #checkRoom(bytes: number, syscall: string): void {
    if (this.usedBytes + bytes > this.capacityBytes) throw failure("ENOSPC", syscall);
  }
}
