/**
 * Finds out whether a medium honours preconditions, by five writes to an object of its own: of two
 * creates that race one wins, a second create is refused, a swap by the current etag is accepted,
 * one by an outdated etag is refused.
 */
import type { Runtime } from "../core/runtime.ts";
import type { Precondition, PutResult, StorageBackend } from "./backend.ts";

export interface ProbeOptions {
  readonly runtime: Runtime;
  /** A path that cannot be guessed, from 16 random hex digits. */
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
  const put = async (precondition: Precondition): Promise<Sent> => {
    // No two bodies are alike, so that reading back distinguishes them.
    const body = Buffer.from(`${mark} ${++puts}\n`);
    return { body, result: await backend.put(path, body, precondition, { timeoutMs }) };
  };
  const created = await Promise.all([put({ ifAbsent: true }), put({ ifAbsent: true })]);
  const accepted = created.flatMap(({ result }) => (result.status === "written" ? result : []));
  const ifMatch = accepted[0]?.etag ?? (await etagOfLanded(backend, path, created));
  if (ifMatch === undefined) return "both of two creates of a new name were refused";
  try {
    if (accepted.length > 1) return "both of two creates of one name were accepted";
    const [again, swap] = await Promise.all([put({ ifAbsent: true }), put({ ifMatch })]);
    if (again.result.status === "written") return "a create of a name that exists was accepted";
    const isSwapped =
      swap.result.status === "written" || (await etagOfLanded(backend, path, [swap])) !== undefined;
    if (!isSwapped) return "a swap by the current etag was refused";
    const stale = await put({ ifMatch });
    return stale.result.status === "written"
      ? "a swap by an outdated etag was accepted"
      : undefined;
  } finally {
    // What remains is collected with the runs that were never published (ORPHAN).
    await backend.delete([path]).catch(() => undefined);
  }
}

interface Sent {
  readonly body: Buffer;
  readonly result: PutResult;
}

/**
 * A write that was delivered twice is refused the second time, because of itself: reading back shows it.
 * @returns the etag when the object is one of these
 */
async function etagOfLanded(
  backend: StorageBackend,
  path: string,
  sent: readonly Sent[],
): Promise<string | undefined> {
  const found = await backend.get(path);
  if (found.status !== "found") return undefined;
  return sent.some(({ body }) => body.equals(found.body)) ? found.etag : undefined;
}
