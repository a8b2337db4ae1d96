/** Where the records come from: the machine's package index, or else generated ones. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readParagraphs } from "./control-data.ts";
import { GENERATED_RECORDS, generatePackages } from "./generate.ts";
import { packageId, type PackageRecord } from "./record.ts";

const SEED = 20_261_122;

export interface Source {
  /** What it is, for people. */
  readonly name: string;
  readonly records: ReadonlyMap<string, PackageRecord>;
  /** Records given under an id that came again later: the last one counts. */
  readonly duplicates: number;
  /** Of the records as JSON. */
  readonly jsonBytes: number;
}

/** @throws Error when the index is there but cannot be read to its end */
export async function loadSource(): Promise<Source> {
  const index = await collect("apt-cache dumpavail", dumpAvailable());
  if (index.records.size > 0) return index;
  const why = "apt-cache is absent or knows no packages (`apt-get update` fills it)";
  const name = `generated, seed ${SEED}, because ${why}`;
  return collect(name, generatePackages(SEED, GENERATED_RECORDS));
}

async function collect(
  name: string,
  packages: AsyncIterable<PackageRecord> | Iterable<PackageRecord>,
): Promise<Source> {
  const records = new Map<string, PackageRecord>();
  let [duplicates, jsonBytes] = [0, 0];
  for await (const record of packages) {
    const id = packageId(record);
    if (id === undefined) {
      throw new Error(`${name}: a package without name: ${JSON.stringify(record).slice(0, 200)}`);
    }
    const before = records.get(id);
    if (before !== undefined) {
      duplicates++;
      jsonBytes -= jsonLength(before);
    }
    records.set(id, record);
    jsonBytes += jsonLength(record);
  }
  return { name, records, duplicates, jsonBytes };
}

function jsonLength(record: PackageRecord): number {
  return Buffer.byteLength(JSON.stringify(record));
}

/** Nothing when the program is not there. */
async function* dumpAvailable(): AsyncGenerator<PackageRecord> {
  const child = spawn("apt-cache", ["dumpavail"], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await once(child, "spawn");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
    throw error;
  }
  const closed = once(child, "close");
  yield* readParagraphs(child.stdout.setEncoding("utf8"));
  const [code] = await closed;
  if (code !== 0) throw new Error(`apt-cache dumpavail ended with exit code ${code}`);
}
