/**
 * A directory's log files: they grow, may be unlinked while somebody has them open, and after a
 * power cut end wherever the disk got to. Everything else in the directory is on the server and
 * durable at once.
 */
import { parseLogFilePath } from "../../src/format/paths.ts";
import type { Kernel } from "./kernel.ts";
import { etagOf, type FrameBytes, type ObjectServer, type StoredObject } from "./object-server.ts";
import type { Prng } from "./prng.ts";

/** After so long the disk has everything by itself. */
const WRITTEN_BACK_MS = 5_000;
const SECTOR_BYTES = 512;

/** An open file; what is appended to an unlinked one nobody will ever find. */
export interface LogFile {
  readonly path: string;
  object: StoredObject & { readonly frames: readonly FrameBytes[] };
  /** So much survives a power cut. */
  syncedBytes: number;
  /** Its name survives a power cut. */
  isNamed: boolean;
}

interface Unlinked {
  readonly file: LogFile;
  readonly atMs: number;
}

export class Disk {
  readonly #kernel: Kernel;
  readonly #server: ObjectServer;
  readonly #onFrame: (path: string, frame: Uint8Array) => void;
  readonly #files = new Map<string, LogFile>();
  #unlinked: Unlinked[] = [];

  /** @param onFrame told when the last byte of a frame was written */
  constructor(
    kernel: Kernel,
    server: ObjectServer,
    onFrame: (path: string, frame: Uint8Array) => void,
  ) {
    this.#kernel = kernel;
    this.#server = server;
    this.#onFrame = onFrame;
    const onDelete = (path: string): void => this.#unlink(path);
    server.observe({ onPut: () => undefined, onDelete });
  }

  /** Undefined: the name is taken. */
  create(path: string): LogFile | undefined {
    if (this.#server.objects.has(path)) return undefined;
    const object = this.#object(new Uint8Array(), []);
    const file = { path, object, syncedBytes: 0, isNamed: false };
    this.#files.set(path, file);
    this.#server.place(path, object);
    return file;
  }

  /** @param ends the frame that these bytes are the last of */
  append(file: LogFile, bytes: Uint8Array, ends?: Uint8Array): void {
    const { body, frames } = file.object;
    const grown = Uint8Array.from(Buffer.concat([body, bytes]));
    const frame = ends && { bytes: ends, end: grown.length };
    file.object = this.#object(grown, frame === undefined ? frames : [...frames, frame]);
    if (this.#files.get(file.path) !== file) return;
    this.#server.place(file.path, file.object);
    if (ends !== undefined) this.#onFrame(file.path, ends);
  }

  /** Another file of the same content at the path of one: what has that open knows nothing of it. */
  replaceByCopy(prng: Prng): string | undefined {
    if (this.#files.size === 0) return undefined;
    const { path, object } = prng.pick([...this.#files.values()]);
    this.#files.set(path, { path, object, syncedBytes: object.body.length, isNamed: true });
    return path;
  }

  isInPlace(file: LogFile): boolean {
    return this.#files.get(file.path) === file;
  }

  sync(file: LogFile): void {
    file.syncedBytes = file.object.body.length;
  }

  #unlink(path: string): void {
    const file = this.#files.get(path);
    if (file === undefined || parseLogFilePath(path) === undefined) return;
    this.#files.delete(path);
    this.#unlinked.push({ file, atMs: this.#kernel.nowMs });
  }

  /** What the disk has not got is gone, or comes back. Nobody may have a file open any more. */
  cutPower(prng: Prng): void {
    const youngMs = this.#kernel.nowMs - WRITTEN_BACK_MS;
    const recent = this.#unlinked.filter(({ atMs }) => atMs > youngMs);
    this.#unlinked = [];
    for (const file of this.#files.values()) this.#tear(file, prng);
    // A directory's journal is in order: the last deletions are undone, the earlier ones not.
    for (const { file } of recent.slice(prng.below(recent.length + 1))) {
      if (this.#server.objects.has(file.path)) continue;
      this.#files.set(file.path, file);
      this.#tear(file, prng);
      if (!this.#files.has(file.path)) continue;
      this.#server.place(file.path, file.object);
      // What was appended after the deletion was nowhere until now.
      for (const { bytes } of file.object.frames) this.#onFrame(file.path, bytes);
    }
  }

  #tear(file: LogFile, prng: Prng): void {
    const { body, frames } = file.object;
    const isThere = file.isNamed || prng.chance(0.5);
    const length = isThere ? prng.between(file.syncedBytes, body.length) : 0;
    const kept = Uint8Array.from(body.subarray(0, length));
    // A sector may have been given to the file, but never written.
    const zeroFrom =
      Math.ceil(Math.max(file.syncedBytes, length - 1) / SECTOR_BYTES) * SECTOR_BYTES;
    if (prng.chance(0.3)) kept.fill(0, Math.min(zeroFrom, length));
    const isKept = ({ bytes, end }: FrameBytes): boolean =>
      end <= length && bytes.every((byte, at) => kept[end - bytes.length + at] === byte);
    file.object = this.#object(kept, frames.filter(isKept));
    if (isThere) return this.#replace(file);
    this.#files.delete(file.path);
    this.#server.remove(file.path);
  }

  #replace(file: LogFile): void {
    if (this.#server.objects.has(file.path)) this.#server.place(file.path, file.object);
  }

  #object(body: Uint8Array, frames: readonly FrameBytes[]): LogFile["object"] {
    return { body, etag: etagOf(body), lastModifiedMs: this.#server.exactMs(), frames };
  }
}
