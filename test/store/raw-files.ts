/** The objects of a store as they lie on the medium, to be damaged. */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { hashOf, type Medium } from "./fixture.ts";

export interface RawFiles {
  names(): Promise<string[]>;
  read(name: string): Promise<Buffer>;
  write(name: string, bytes: Uint8Array | string): Promise<void>;
  remove(name: string): Promise<void>;
}

export type Kind = "manifest" | "segment" | "run" | "index";

const KINDS: Readonly<Record<Kind, RegExp>> = {
  // On a directory the file at the top is a copy for people.
  manifest: /^(manifests\/\d{16}\.json|manifest\.json)$/,
  segment: /^ops\/.+\.jsonl$/,
  run: /^snapshots\/snap-.+\.jsonl$/,
  index: /^snapshots\/snap-.+\.index$/,
};

/** Names of one kind that are in use. */
export async function namesOf(files: RawFiles, kind: Kind): Promise<string[]> {
  const names = (await files.names()).filter((name) => KINDS[kind].test(name)).toSorted();
  const versions = names.filter((name) => name.startsWith("manifests/"));
  return kind === "manifest" && versions.length > 0 ? versions.slice(-1) : names;
}

/** Hashes of everything but leases, locks and files that are being written. */
export async function dataOf(files: RawFiles): Promise<Record<string, string>> {
  const data: Record<string, string> = {};
  for (const name of await files.names()) {
    if (!/^\.|\.lease$/.test(name)) data[name] = hashOf(await files.read(name));
  }
  return data;
}

export async function rawFiles(medium: Medium): Promise<RawFiles> {
  if (medium.name === "directory") return filesIn(medium.location);
  const backend = medium.backend();
  await backend.initialize(medium.location, { readOnly: false });
  return {
    names: async () => {
      const names: string[] = [];
      for await (const { objects } of backend.list("")) names.push(...objects.map((o) => o.path));
      return names;
    },
    read: (name) => backend.readBlob(name),
    write: (name, bytes) => backend.writeBlob(name, bytes),
    remove: (name) => backend.deleteBlob(name),
  };
}

function filesIn(root: string): RawFiles {
  return {
    names: async () => {
      const entries = await readdir(root, { recursive: true, withFileTypes: true });
      const files = entries.filter((entry) => entry.isFile());
      return files.map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1));
    },
    read: (name) => readFile(join(root, name)),
    write: async (name, bytes) => {
      await mkdir(dirname(join(root, name)), { recursive: true });
      await writeFile(join(root, name), bytes);
    },
    remove: (name) => rm(join(root, name)),
  };
}
