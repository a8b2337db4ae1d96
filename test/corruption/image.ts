/** Stores as images: every object with its bytes, to be damaged and opened again and again. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import type { StorageBackend } from "../../src/storage/backend.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";

/** Objects by path. */
export type Image = ReadonlyMap<string, Buffer>;

/** A copy of an image where programs may work on it. */
export interface Place extends AsyncDisposable {
  readonly location: string;
  /** As another process would make it: nothing that was read before is warm. */
  backend(): StorageBackend;
  /** Whatever lies there, the backend's own files included. */
  image(): Promise<Map<string, Buffer>>;
  replace(path: string, bytes: Buffer): Promise<void>;
}

export type MakePlace = (image: Image) => Promise<Place>;

export const inMemory: MakePlace = async (image) => {
  const location = "memory";
  const backend = await memoryOf(image);
  return {
    location,
    backend: () => backend,
    image: async () => {
      const found = new Map<string, Buffer>();
      for await (const { objects } of backend.list("")) {
        for (const { path } of objects) found.set(path, await backend.readBlob(path));
      }
      return found;
    },
    replace: (path, bytes) => backend.writeBlob(path, bytes),
    [Symbol.asyncDispose]: () => backend.shutdown(),
  };
};

async function memoryOf(image: Image): Promise<MemoryBackend> {
  const backend = new MemoryBackend();
  await backend.initialize("memory", { readOnly: false });
  for (const [path, bytes] of image) await backend.writeBlob(path, bytes);
  return backend;
}

export const onDirectory: MakePlace = async (image) => {
  const root = await mkdtemp(join(tmpdir(), "opslog-corruption-"));
  const location = join(root, "store");
  const write = async (path: string, bytes: Buffer): Promise<void> => {
    await mkdir(dirname(join(location, path)), { recursive: true });
    await writeFile(join(location, path), bytes);
  };
  await mkdir(location);
  for (const [path, bytes] of image) await write(path, bytes);
  return {
    location,
    backend: () => new FsBackend({ fsync: false }),
    image: () => filesIn(location),
    replace: write,
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
};

export async function filesIn(root: string): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(relative(root, path).split(sep).join("/"), await readFile(path));
  }
  return new Map([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** One place for many images that differ from `image` in one object; for what changes nothing. */
export async function reused(
  make: MakePlace,
  image: Image,
): Promise<{ readonly make: MakePlace } & AsyncDisposable> {
  const place = await make(image);
  let damaged: string | undefined;
  return {
    make: async (next) => {
      if (damaged !== undefined) await place.replace(damaged, bytesAt(image, damaged));
      damaged = [...next.keys()].find((path) => next.get(path) !== image.get(path));
      if (damaged !== undefined) await place.replace(damaged, bytesAt(next, damaged));
      return { ...place, [Symbol.asyncDispose]: () => Promise.resolve() };
    },
    [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
  };
}

function bytesAt(image: Image, path: string): Buffer {
  const bytes = image.get(path);
  if (bytes === undefined) throw new Error(`the image has no ${path}`);
  return bytes;
}

/** The image with other bytes at one path; `undefined` takes the object away. */
export function withObject(image: Image, path: string, bytes: Buffer | undefined): Image {
  const changed = new Map(image);
  if (bytes === undefined) changed.delete(path);
  else changed.set(path, bytes);
  return changed;
}
