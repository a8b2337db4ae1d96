/**
 * Finds out whether a medium honours preconditions, by five writes to an object of its own: of two
 * creates that race one wins, a second create is refused, a swap by the current etag is accepted,
 * one by an outdated etag is refused.
 */
import type { Runtime } from "../core/runtime.ts";
import type { Precondition, PutResult, StorageBackend } from "./backend.ts";

export interface ProbeOptions {
  readonly runtime: Runtime;
  /** A path that nobody can guess, from 16 random hex digits. */
  readonly pathOf: (rand: string) => string;
  /** Of each write. */
  readonly timeoutMs: number;
}

/** A collector may delete the object under a probe that was frozen: what is broken is so each time. */
const PROBES_MAX = 3;

/**
 * @returns what is wrong; undefined when the preconditions hold
 * @throws what the backend throws
 */
export async function probe(
  backend: StorageBackend,
  options: ProbeOptions,
): Promise<string | undefined> {
  let wrong: string | undefined;
  for (let attempt = 1; attempt <= PROBES_MAX; attempt++) {
    wrong = await probeOnce(backend, options);
    if (wrong === undefined) return undefined;
  }
  return wrong;
}

async function probeOnce(
  backend: StorageBackend,
  { runtime, pathOf, timeoutMs }: ProbeOptions,
): Promise<string | undefined> {
  const path = pathOf(runtime.randomHex(16));
  const mark = runtime.randomHex(16);
  let puts = 0;
  // No two bodies are alike, so that reading back tells them apart.
  const put = (precondition: Precondition): Promise<PutResult> =>
    backend.put(path, Buffer.from(`${mark} ${++puts}\n`), precondition, { timeoutMs });
  const created = await Promise.all([put({ ifAbsent: true }), put({ ifAbsent: true })]);
  const [first, ...others] = created.filter((one) => one.status === "written");
  if (first === undefined) return "both of two creates of a new name were refused";
  try {
    if (others.length > 0) return "both of two creates of one name were accepted";
    const ifMatch = first.etag;
    const [again, swapped] = await Promise.all([put({ ifAbsent: true }), put({ ifMatch })]);
    if (again.status === "written") return "a create of a name that exists was accepted";
    if (swapped.status !== "written") return "a swap by the current etag was refused";
    const stale = await put({ ifMatch });
    return stale.status === "written" ? "a swap by an outdated etag was accepted" : undefined;
  } finally {
    // What is left behind is collected with the runs that nobody published (ORPHAN).
    await backend.delete([path]).catch(() => undefined);
  }
}
