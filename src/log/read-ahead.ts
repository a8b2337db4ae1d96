/** Segments of an object store read in parallel, handed over as they arrive. */
import { Deferred } from "../core/deferred.ts";
import type { LogRef } from "./log.ts";

const READS_PARALLEL = 32;
/** Of what is read or waits to be taken. */
const READ_AHEAD_BYTES_MAX = 4 * 1024 * 1024;

export interface ReadBytes {
  readonly ref: LogRef;
  /** Undefined: it is gone. */
  readonly bytes: Uint8Array | undefined;
}

interface Arrival {
  readonly ref: LogRef;
  readonly outcome: PromiseSettledResult<Uint8Array | undefined>;
}

/**
 * Reads each segment once, as it is stored: decoded it takes several times as much. In no order, so that one slow answer delays no other. The first failure
 * is thrown when all that is under way has ended.
 */
export async function* readAhead(
  refs: Iterable<LogRef>,
  read: (ref: LogRef) => Promise<Uint8Array | undefined>,
): AsyncGenerator<ReadBytes> {
  const rest = refs[Symbol.iterator]();
  const arrived: Arrival[] = [];
  /** Settled by the next arrival. */
  let change = new Deferred();
  /** Bytes: also of what waits to be taken. */
  const underWay = { reads: 0, bytes: 0 };
  let next = rest.next();

  const start = async (ref: LogRef): Promise<void> => {
    underWay.reads++;
    underWay.bytes += ref.bytes;
    const [outcome] = await Promise.allSettled([read(ref)]);
    underWay.reads--;
    arrived.push({ ref, outcome });
    change.resolve();
  };
  const nextArrival = async (): Promise<void> => {
    await change.promise;
    change = new Deferred();
  };
  try {
    for (;;) {
      while (next.done !== true && hasRoom(underWay, arrived.length, next.value)) {
        void start(next.value);
        next = rest.next();
      }
      const first = arrived.shift();
      if (first === undefined) {
        if (underWay.reads === 0) return;
        await nextArrival();
        continue;
      }
      underWay.bytes -= first.ref.bytes;
      if (first.outcome.status === "rejected") throw first.outcome.reason;
      yield { ref: first.ref, bytes: first.outcome.value };
    }
  } finally {
    while (underWay.reads > 0) await nextArrival();
  }
}

/** One is always allowed. */
function hasRoom(
  { reads, bytes }: { readonly reads: number; readonly bytes: number },
  waiting: number,
  next: LogRef,
): boolean {
  if (reads + waiting === 0) return true;
  const isFree = reads < READS_PARALLEL && waiting < READS_PARALLEL;
  return isFree && bytes + next.bytes <= READ_AHEAD_BYTES_MAX;
}
