/** Where calls fail: media whose clock nobody waits for, with a store in them to begin with. */
import type { StorageBackend } from "../../src/storage/backend.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import type { FileSystem } from "../../src/storage/fs/file-system.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { compact } from "../../src/compaction/compact.ts";
import type { StoreInternals } from "../../src/session/session.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { ARCHIVE, ARCHIVED, QUIET } from "./operations.ts";
import { virtualRuntime, type VirtualRuntime } from "./virtual-runtime.ts";

export interface Place {
  readonly location: string;
  readonly runtime: VirtualRuntime;
  /** As another process would make it. */
  backend(): StorageBackend;
  open(
    options: StoreOptions<number>,
    backend?: StorageBackend,
    internals?: StoreInternals,
  ): Promise<Store<number>>;
}

export type MakePlace = () => Promise<Place>;

function placeOf(location: string, runtime: VirtualRuntime, backend: () => StorageBackend): Place {
  return {
    location,
    runtime,
    backend,
    open: async (options, own = backend(), internals = {}) => {
      const store = new Store<number>({ runtime, ...internals });
      await store.open(location, { ...options, backend: own });
      return store;
    },
  };
}

export async function inMemory(): Promise<Place> {
  const runtime = virtualRuntime(1);
  const backend = new MemoryBackend({ runtime });
  const place = placeOf("memory", runtime, () => backend);
  await fill(place);
  return place;
}

export interface DiskPlace extends Place {
  readonly disk: MemoryDisk;
  backend(files?: FileSystem): StorageBackend;
}

export async function onDisk(): Promise<DiskPlace> {
  const runtime = virtualRuntime(1);
  const disk = new MemoryDisk({ nowMs: runtime.nowMs });
  const backend = (files: FileSystem = disk): StorageBackend => new FsBackend({ files, runtime });
  const place = placeOf("/disk/store", runtime, backend);
  await fill(place);
  return { ...place, backend, disk };
}

async function fill({ open, location, backend }: Place): Promise<void> {
  const store = await open({ ...QUIET, agentId: "filler" });
  await store.batch(() => {
    for (const id of ["a", "b", "c", "e", ...ARCHIVED.keys()]) void store.set(id, 1);
  });
  await store.archive((_, id) => ARCHIVED.has(id), ARCHIVE);
  await compact(location, { backend: backend(), full: true, gcGraceMs: 0 });
  await store.delete("e");
  await store.set("c", 2);
  await store.set("d", 2);
  await store.close();
}
