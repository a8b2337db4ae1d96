/** A small store that holds every kind of object, and what is true of it. */
import { decodeManifest } from "../../src/format/manifest-codec.ts";
import { decodeRetiredList } from "../../src/format/retired-list.ts";
import { parseSegmentPath } from "../../src/format/paths.ts";
import { scanFrames } from "../../src/log/frames.ts";
import { Store } from "../../src/store/store.ts";
import type { StoreInternals } from "../../src/session/session.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import type { Image, MakePlace, Place } from "./image.ts";
import { withObject } from "./image.ts";

/** Everything the ways into a store show of it, as text to be compared. */
export interface Facts {
  /** Records, sorted by id. */
  readonly records: string;
  /** Archived records of each period, sorted. */
  readonly archives: string;
}

/** A flush: what is left out as a whole when a byte of it cannot be trusted. */
export interface Flush {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  /** What is true of the rest. */
  readonly without: string;
}

export interface Specimen {
  readonly image: Image;
  readonly facts: Facts;
  readonly flushes: readonly Flush[];
  /** Paths that are a part of the store now: leases, copies, retired and merged objects are none. */
  readonly current: ReadonlySet<string>;
}

export const IDS = [
  "r0",
  "r1",
  "r2",
  "r3",
  "r4",
  "m1",
  "l1",
  "l2",
  "l3",
  "s1",
  "old",
  "é\n",
  "absent",
];
export const PERIODS = ["2025-Q4"];
/** Of the agent that writes beside the single writer: nothing of it may be lost in a header. */
const AGENT = "agent/ü\n\ufffd";

export async function openAt(
  place: Place,
  options: StoreOptions<unknown>,
  internals: StoreInternals = {},
): Promise<Store<unknown>> {
  const store = new Store<unknown>(internals);
  await store.open(place.location, {
    backend: place.backend(),
    checkpointOnClose: false,
    onWarning: () => undefined,
    ...options,
  });
  return store;
}

/** Two runs, an archive, retired and merged objects, batches of several writers in the log. */
export async function makeSpecimen(make: MakePlace): Promise<Specimen> {
  await using place = await make(new Map());
  const store = await openAt(place, {});
  await store.batch(() => {
    for (let n = 0; n < 5; n++) void store.set(`r${n}`, { n, text: "x".repeat(50) });
  });
  await store.compact();
  await store.set("old", { n: -1 });
  await store.archive((value) => JSON.stringify(value) === '{"n":-1}', PERIODS[0]);
  await store.batch(() => {
    void store.set("m1", { n: 1 });
    void store.delete("r3");
  });
  await store.compact();
  await store.set("l1", "in the log");
  await store.batch(() => {
    void store.set("l2", 2);
    void store.set("r1", { n: 1, changed: true });
    void store.delete("r2");
  });
  await store.close();
  const backend = place.backend();
  const [agent, other] = await Promise.all(
    [AGENT, "other"].map((agentId) => openAt(place, { agentId, backend }, { flushLingerMs: 10 })),
  );
  // These two share an object where the medium has objects.
  await Promise.all([
    agent?.set("é\n", { spaces: "a  b   c", zero: null }),
    other?.set("s1", "beside"),
  ]);
  await agent?.update("r4", () => undefined, { atomic: false });
  await agent?.close();
  await other?.close();
  return describe(make, await place.image());
}

/** With what a crash leaves at the end of a log file: a part of a frame. */
export async function withTornTail(make: MakePlace, { image }: Specimen): Promise<Specimen> {
  const path = [...image.keys()].find((name) => name.startsWith("ops/ops-")) ?? "";
  const whole = image.get(path) ?? Buffer.alloc(0);
  const first = scanFrames(whole, { path, offset: 0 }).frames[0]?.bytes ?? 0;
  const torn = whole.subarray(0, first - 20);
  return describe(make, withObject(image, path, Buffer.concat([whole, torn])));
}

async function describe(make: MakePlace, image: Image): Promise<Specimen> {
  const flushes: Flush[] = [];
  const current = currentPaths(image);
  for (const [path, bytes] of image) {
    if (!path.startsWith("ops/") || !current.has(path)) continue;
    for (const { offset, length } of partsOf(path, bytes)) {
      const rest = Buffer.concat([bytes.subarray(0, offset), bytes.subarray(offset + length)]);
      const others = withObject(image, path, rest.length === 0 ? undefined : rest);
      flushes.push({ path, offset, length, without: (await factsOf(make, others)).records });
    }
  }
  return { image, facts: await factsOf(make, image), flushes, current };
}

/** What counts or does not count by itself: an object, a frame of a file. */
function partsOf(path: string, bytes: Buffer): { offset: number; length: number }[] {
  const whole = { offset: 0, length: bytes.length };
  if (parseSegmentPath(path) !== undefined) return [whole];
  return scanFrames(bytes, { path, offset: 0 }).frames.map(({ range }) => range ?? whole);
}

function currentPaths(image: Image): Set<string> {
  const versions = [...image.keys()].filter((path) => path.startsWith("manifests/"));
  const path = versions.toSorted().at(-1) ?? "manifest.json";
  const { runs, archive, retired } = decodeManifest(image.get(path) ?? Buffer.alloc(0), path);
  const lists = retired.filter(({ segments }) => segments !== undefined).map((list) => list.path);
  const merged = new Set(
    lists.flatMap((list) => decodeRetiredList(image.get(list) ?? Buffer.alloc(0), list)),
  );
  const named = [
    ...runs.flatMap(({ path: run, index }) => [run, index]),
    ...archive.map((a) => a.path),
    ...lists,
  ];
  const log = [...image.keys()].filter((name) => name.startsWith("ops/") && !merged.has(name));
  return new Set([path, ...named, ...log]);
}

async function factsOf(make: MakePlace, image: Image): Promise<Facts> {
  await using place = await make(image);
  const store = await openAt(place, { readOnly: true, onCorrupt: "throw" });
  const archives: [string, unknown][] = [];
  for (const period of PERIODS) archives.push([period, asText(await store.loadArchive(period))]);
  const facts = { records: asText(store.entries()), archives: JSON.stringify(archives) };
  await store.close();
  return facts;
}

export function asText(entries: Iterable<readonly [string, unknown]>): string {
  return JSON.stringify([...entries].toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
