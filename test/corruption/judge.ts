/**
 * What may come of one changed byte: the truth; or an error that names the object; or, of the log,
 * the truth without that flush and a warning that names it. Anything else is a silent lie.
 */
import { CorruptionError, FormatVersionError, OpslogError } from "../../src/core/errors.ts";
import { compact } from "../../src/compaction/compact.ts";
import type { Store } from "../../src/store/store.ts";
import { verify } from "../../src/store/verify.ts";
import { flip } from "../runs/support.ts";
import type { MakePlace, Place } from "./image.ts";
import { withObject } from "./image.ts";
import { asText, type Flush, IDS, openAt, PERIODS, type Specimen } from "./specimen.ts";

export interface Damage {
  readonly path: string;
  readonly offset: number;
  readonly mask: number;
}

/** What one way into the store showed. */
interface Shown {
  readonly way: string;
  readonly records?: string;
  readonly archives?: string;
  readonly error?: unknown;
  readonly warnings: readonly string[];
}

const WAYS: readonly ((place: Place) => Promise<Shown[]>)[] = [
  openEagerly,
  openStrictly,
  openLazily,
];

/** What is wrong with how a store takes the damage; none when all is well. */
export type Judge = (make: MakePlace, specimen: Specimen, damage: Damage) => Promise<string[]>;

/** Through every way to read. */
export async function judgeReads(
  make: MakePlace,
  specimen: Specimen,
  damage: Damage,
): Promise<string[]> {
  await using place = await damagedPlace(make, specimen, damage);
  return judgeAll(specimen, damage, await readAllWays(place));
}

/**
 * A compaction may refuse; it must not make a lie of the damage, nor delete what is damaged: with
 * the byte put back everything is there again.
 */
export async function judgeCompaction(
  make: MakePlace,
  specimen: Specimen,
  damage: Damage,
): Promise<string[]> {
  await using place = await damagedPlace(make, specimen, damage);
  const warnings: string[] = [];
  const shown: Shown = await compact(place.location, {
    backend: place.backend(),
    gcGraceMs: 0,
    full: damage.offset % 2 === 0,
    onWarning: (message) => void warnings.push(message),
  }).then(
    () => ({ way: "compact", warnings }),
    (error: unknown) => ({ way: "compact", warnings, error }),
  );
  const faults = judgeAll(specimen, damage, [shown, ...(await readAllWays(place))]);
  if ((await place.image()).has(damage.path)) {
    const whole = specimen.image.get(damage.path) ?? Buffer.alloc(0);
    await place.replace(damage.path, whole);
  }
  const after = await readAllWays(place);
  const isWhole = after.every(
    ({ records = specimen.facts.records, archives = specimen.facts.archives, error }) =>
      records === specimen.facts.records &&
      archives === specimen.facts.archives &&
      error === undefined,
  );
  if (!isWhole)
    faults.push(`${told(damage)}: not whole after compaction and repair: ${tell(after)}`);
  return faults;
}

/** `verify` tells of every damage that is not without meaning, by object and offset. */
export async function judgeVerify(
  make: MakePlace,
  specimen: Specimen,
  damage: Damage,
): Promise<string[]> {
  await using place = await damagedPlace(make, specimen, damage);
  const problems = await verify(place.location, { backend: place.backend() }).then(
    (report): readonly OpslogError[] => report.problems,
    (error: unknown) => {
      if (error instanceof OpslogError) return [error];
      throw error;
    },
  );
  const named = problems.find((problem) => isNamed(problem, damage));
  if (named?.offset !== undefined && named.offset <= damage.offset) return [];
  const found = problems.map(({ path, offset, message }) => `${path}@${offset} ${message}`);
  return [`${told(damage)}: verify does not tell: ${found.join("; ")}`];
}

function damagedBytes({ image }: Specimen, { path, offset, mask }: Damage): Buffer {
  return flip(image.get(path) ?? Buffer.alloc(0), offset, mask);
}

async function damagedPlace(make: MakePlace, specimen: Specimen, damage: Damage): Promise<Place> {
  return make(withObject(specimen.image, damage.path, damagedBytes(specimen, damage)));
}

async function readAllWays(place: Place): Promise<Shown[]> {
  const shown: Shown[] = [];
  for (const way of WAYS) shown.push(...(await way(place)));
  return shown;
}

async function openEagerly(place: Place): Promise<Shown[]> {
  const warnings: string[] = [];
  return using(place, "eager", warnings, "skip", false, async (store) => [
    { way: "eager", warnings, records: asText(store.entries()) },
    await attempt("archives", warnings, async () => {
      const archives: [string, unknown][] = [];
      for (const period of PERIODS) {
        archives.push([period, asText(await store.loadArchive(period))]);
      }
      return { archives: JSON.stringify(archives) };
    }),
  ]);
}

async function openStrictly(place: Place): Promise<Shown[]> {
  return using(place, "strict", [], "throw", false, (store) =>
    Promise.resolve([{ way: "strict", warnings: [], records: asText(store.entries()) }]),
  );
}

async function openLazily(place: Place): Promise<Shown[]> {
  const warnings: string[] = [];
  return using(place, "lazy", warnings, "skip", true, async (store) => [
    await attempt("readMany", warnings, async () => ({
      records: asText(await store.readMany(IDS)),
    })),
    await attempt("scan", warnings, async () => ({ records: asText(await collect(store.scan())) })),
    await attempt("streams", warnings, async () => ({ records: asText(await replay(store)) })),
  ]);
}

async function using(
  place: Place,
  way: string,
  warnings: string[],
  onCorrupt: "skip" | "throw",
  skipLoad: boolean,
  look: (store: Store<unknown>) => Promise<Shown[]>,
): Promise<Shown[]> {
  try {
    const onWarning = (message: string): void => void warnings.push(message);
    const store = await openAt(place, { readOnly: true, onCorrupt, skipLoad, onWarning });
    const shown = await look(store);
    await store.close();
    return shown;
  } catch (error) {
    return [{ way, warnings, error }];
  }
}

async function attempt(
  way: string,
  warnings: readonly string[],
  look: () => Promise<Pick<Shown, "records" | "archives">>,
): Promise<Shown> {
  try {
    return { way, warnings, ...(await look()) };
  } catch (error) {
    return { way, warnings, error };
  }
}

/** What a program that follows the streams holds in the end. */
async function replay(store: Store<unknown>): Promise<Map<string, unknown>> {
  const records = new Map<string, unknown>(await collect(store.streamSnapshot()));
  for await (const { op, id, data } of store.getWalOps()) {
    if (op === "set") records.set(id, data);
    else records.delete(id);
  }
  return records;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function judgeAll(specimen: Specimen, damage: Damage, shown: readonly Shown[]): string[] {
  return shown.flatMap((one) => {
    const fault = faultOf(specimen, damage, one);
    return fault === undefined ? [] : [`${told(damage)}: ${one.way}: ${fault}`];
  });
}

function faultOf({ facts, flushes }: Specimen, damage: Damage, shown: Shown): string | undefined {
  const { records = facts.records, archives = facts.archives, error, warnings } = shown;
  if (error !== undefined) {
    return isNamed(error, damage)
      ? undefined
      : `an error that does not name it: ${messageOf(error)}`;
  }
  if (archives !== facts.archives) return `archived records are ${archives}`;
  if (records === facts.records) return undefined;
  const flush = flushes.find((one) => holds(one, damage));
  if (records !== flush?.without) return `records are ${records}`;
  const isTold = warnings.some((message) => message.includes(damage.path));
  return isTold ? undefined : "a flush is missing and nobody was told";
}

function holds({ path, offset, length }: Flush, damage: Damage): boolean {
  return path === damage.path && damage.offset >= offset && damage.offset < offset + length;
}

function isNamed(error: unknown, { path }: Damage): boolean {
  const isOfData = error instanceof CorruptionError || error instanceof FormatVersionError;
  // On a directory the manifest is the newest of its versions, and is told by its own name.
  const name = path.replace(/^manifests\/\d+\.json$/, "manifest.json");
  return isOfData && error.path === name;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : "no error at all";
}

function told({ path, offset, mask }: Damage): string {
  return `${path} byte ${offset} ^ 0x${mask.toString(16)}`;
}

function tell(shown: readonly Shown[]): string {
  return shown
    .map(({ way, records, error }) => `${way} ${error === undefined ? records : messageOf(error)}`)
    .join("; ");
}
