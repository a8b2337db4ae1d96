/**
 * The system calls that a store in a directory makes, as a parameter: tests put a disk in their
 * place that fails, fills up, or loses its power. Calls fail with the errors of `node:fs`.
 */
import { access, copyFile, link, lstat, mkdir, open } from "node:fs/promises";
import { readdir, rename, rmdir, stat, unlink } from "node:fs/promises";

/** What of a file's facts is used. */
export interface FileStats {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly nlink: bigint;
  /** Bytes. */
  readonly size: bigint;
  readonly mtimeNs: bigint;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

export interface DirectoryEntry {
  readonly name: string;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

/** An open file, or a directory opened to be synced. */
export interface OpenFile {
  /** Writes `bytes` from `offset` on, or the first part of that, where the file stands. */
  write(bytes: Uint8Array, offset: number): Promise<{ readonly bytesWritten: number }>;
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
  stat(options: { readonly bigint: true }): Promise<FileStats>;
  /** Times in seconds. */
  utimes(atime: number, mtime: number): Promise<void>;
  sync(): Promise<void>;
  datasync(): Promise<void>;
  close(): Promise<void>;
}

/** Paths are absolute. */
export interface FileSystem {
  access(path: string, mode: number): Promise<void>;
  copyFile(from: string, to: string, mode: number): Promise<void>;
  link(from: string, to: string): Promise<void>;
  lstat(path: string): Promise<FileStats>;
  /** @returns the first directory that was made, when `recursive` */
  mkdir(path: string, options?: { readonly recursive: boolean }): Promise<string | undefined>;
  open(path: string, flags: string | number, mode?: number): Promise<OpenFile>;
  readdir(path: string): Promise<DirectoryEntry[]>;
  rename(from: string, to: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  stat(path: string): Promise<FileStats>;
  unlink(path: string): Promise<void>;
}

export const nodeFileSystem: FileSystem = {
  access,
  copyFile,
  link,
  lstat: (path) => lstat(path, { bigint: true }),
  mkdir: (path, options = { recursive: false }) => mkdir(path, options),
  open,
  readdir: (path) => readdir(path, { withFileTypes: true }),
  rename,
  rmdir: (path) => rmdir(path),
  stat: (path) => stat(path, { bigint: true }),
  unlink,
};
