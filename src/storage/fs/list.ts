/** Listing a directory tree as objects. */
import { AccessDeniedError } from "../../core/errors.ts";
import { mapParallel } from "../../core/parallel.ts";
import type { ListedObject, ListPage } from "../backend.ts";
import type { DirectoryEntry } from "./file-system.ts";
import type { StoreDirectory } from "./directory.ts";
import { toStorageError, unlessAbsent } from "./errors.ts";
import { factsOf } from "./read.ts";
import { isBackendsOwn, SwapName } from "./names.ts";
import type { SwappedObjects } from "./versioned-objects.ts";

/** Calls under way at once: Node has four threads for them. */
export const FILES_PARALLEL = 8;

const PAGE_OBJECTS_MAX = 2_000;
/**
 * Every object below `prefix` ("" or ending in `/`). What vanishes meanwhile is left out.
 * @throws AccessDeniedError when a symbolic link lies there: left out, it would hide objects
 */
export async function* listTree(
  directory: StoreDirectory,
  swapped: SwappedObjects,
  prefix: string,
): AsyncGenerator<ListPage> {
  const page = (objects: ListedObject[], truncated: boolean): ListPage => ({
    objects,
    truncated,
    dateMs: directory.runtime.nowMs(),
  });
  let waiting: ListedObject[] = [];
  for await (const objects of listDirectories(directory, swapped, prefix)) {
    for (const object of objects) {
      // A page goes when the next object is there, so that there always is a last one.
      if (waiting.length === PAGE_OBJECTS_MAX) {
        yield page(waiting, true);
        waiting = [];
      }
      waiting.push(object);
    }
  }
  yield page(waiting, false);
}

/**
 * Names of the files and directories directly in `prefix`, without the backend's own: of an object
 * with versions its name, not where they lie.
 */
export async function listNames(directory: StoreDirectory, prefix: string): Promise<string[]> {
  const names = new Set<string>();
  for (const entry of await readEntries(directory, prefix)) {
    const { name } = entry;
    const path = prefix + name;
    if (entry.isFile() && SwapName.ofVersion(path) === undefined) names.add(name);
    if (!entry.isDirectory()) continue;
    // Only directories at the top level hold versions, and their names end so.
    const inside =
      prefix === "" && name.endsWith("s") ? await readEntries(directory, `${path}/`) : [];
    const versions = inside.flatMap((file) => SwapName.ofVersion(`${path}/${file.name}`) ?? []);
    for (const version of versions) names.add(version.path);
    if (versions.length === 0 || versions.length < inside.length) names.add(name);
  }
  return [...names];
}

/** The directories below `prefix`, itself included, each after those inside it; all end in `/`. */
export async function listSubdirectories(
  directory: StoreDirectory,
  prefix: string,
): Promise<string[]> {
  const found = [prefix];
  for (const parent of found) {
    for (const entry of await readEntries(directory, parent)) {
      if (entry.isDirectory()) found.push(`${parent}${entry.name}/`);
    }
  }
  return found.reverse();
}

async function* listDirectories(
  directory: StoreDirectory,
  swapped: SwappedObjects,
  prefix: string,
): AsyncGenerator<ListedObject[]> {
  const swapNames = new Map<string, SwapName>();
  const pending = [prefix];
  for (let parent = pending.pop(); parent !== undefined; parent = pending.pop()) {
    const ordinary: string[] = [];
    for (const entry of await readEntries(directory, parent)) {
      const path = parent + entry.name;
      // An object with versions is listed once, whatever of it is met first.
      const name = SwapName.of(path) ?? SwapName.ofVersion(path);
      if (name !== undefined) swapNames.set(name.path, name);
      else if (entry.isDirectory()) pending.push(`${path}/`);
      else if (entry.isFile()) ordinary.push(path);
    }
    for (let start = 0; start < ordinary.length; start += PAGE_OBJECTS_MAX) {
      yield await statAll(directory, ordinary.slice(start, start + PAGE_OBJECTS_MAX));
    }
  }
  const below = [...swapNames.values()].filter(({ path }) => path.startsWith(prefix));
  yield await statSwapped(swapped, below);
}

async function statAll(
  directory: StoreDirectory,
  paths: readonly string[],
): Promise<ListedObject[]> {
  return await collectParallel(paths, async (path) => {
    const stats = await unlessAbsent(directory.files.lstat(directory.absolute(path))).catch(
      (error: unknown) => {
        throw toStorageError(error, `Cannot list '${directory.absolute(path)}'`, path);
      },
    );
    if (stats?.isFile() !== true) return undefined;
    const { objectBytes, lastModifiedMs } = factsOf(stats, "");
    return { path, bytes: objectBytes, lastModifiedMs };
  });
}

async function statSwapped(
  swapped: SwappedObjects,
  names: readonly SwapName[],
): Promise<ListedObject[]> {
  return await collectParallel(names, async (name) => {
    const current = await swapped.get(name, { range: { offset: 0, length: 0 } });
    if (current === undefined) return undefined;
    const { objectBytes, lastModifiedMs } = current;
    return { path: name.path, bytes: objectBytes, lastModifiedMs };
  });
}

/** Entries of a directory, without what is the backend's own; none when it is absent. */
async function readEntries(directory: StoreDirectory, parent: string): Promise<DirectoryEntry[]> {
  try {
    if (!(await directory.hasParents(`${parent}x`))) return [];
    const read = directory.files.readdir(directory.absolute(parent));
    const entries = (await unlessAbsent(read)) ?? [];
    const link = entries.find((entry) => entry.isSymbolicLink());
    if (link !== undefined) {
      const path = parent + link.name;
      throw new AccessDeniedError(
        `'${path}' is a symbolic link; links inside a store are not followed`,
        {
          path,
        },
      );
    }
    return entries.filter((entry) => !isBackendsOwn(parent + entry.name));
  } catch (error) {
    throw toStorageError(error, `Cannot list '${directory.absolute(parent)}'`, parent);
  }
}

/** Maps a bounded number at once and drops what is undefined. Results are in no order. */
async function collectParallel<T, R>(
  items: readonly T[],
  map: (item: T) => Promise<R | undefined>,
): Promise<R[]> {
  const results: R[] = [];
  await mapParallel(items, FILES_PARALLEL, async (item) => {
    const result = await map(item);
    if (result !== undefined) results.push(result);
  });
  return results;
}
