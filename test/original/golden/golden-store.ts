/** Golden stores: what some version wrote, as plain files, and what it showed of it afterwards. */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

export type Entries = readonly (readonly [id: string, value: unknown])[];

export interface Golden {
  /** Package and version that wrote it. */
  readonly madeBy: string;
  /** "files": on a directory. "objects": on S3, where a key became a path. */
  readonly layout: "files" | "objects";
  /** Sorted by id. */
  readonly records: Entries;
  /** By period; records sorted by id. */
  readonly archives: Readonly<Record<string, Entries>>;
  /** What its own writer shows, where that is not all that was acknowledged: a defect of its. */
  readonly shownByWriter?: Entries;
  /** Objects whose lines cannot all be read. */
  readonly damaged: number;
}

/** File contents by path, relative to the store. */
export type Files = ReadonlyMap<string, Buffer>;

/** The directory of this file, from the sources' root: the script that makes them is bundled. */
export const GOLDEN_DIRECTORY = "test/original/golden";
const EXPECTED = "expected.json";
const STORE = "store";

export async function goldenNames(root: string): Promise<string[]> {
  const entries = await readdir(join(root, GOLDEN_DIRECTORY), { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted();
}

export async function readGolden(
  root: string,
  name: string,
): Promise<{ readonly golden: Golden; readonly files: Files }> {
  const directory = join(root, GOLDEN_DIRECTORY, name);
  const golden: Golden = JSON.parse(await readFile(join(directory, EXPECTED), "utf8"));
  return { golden, files: await readTree(join(directory, STORE)) };
}

export async function writeGolden(
  root: string,
  name: string,
  golden: Golden,
  files: Files,
): Promise<void> {
  const directory = join(root, GOLDEN_DIRECTORY, name);
  await rm(directory, { recursive: true, force: true });
  await writeTree(join(directory, STORE), files);
  await writeFile(join(directory, EXPECTED), `${JSON.stringify(golden, null, 2)}\n`);
}

export async function readTree(directory: string): Promise<Files> {
  const files = new Map<string, Buffer>();
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(relative(directory, path).split(sep).join("/"), await readFile(path));
  }
  return new Map([...files].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

export async function writeTree(directory: string, files: Files): Promise<void> {
  for (const [path, content] of files) {
    const target = join(directory, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, content);
  }
}

export function sortEntries(entries: Iterable<readonly [string, unknown]>): Entries {
  return [...entries].toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Of this repository, for tests. */
export const REPOSITORY = fileURLToPath(new URL("../../..", import.meta.url));
