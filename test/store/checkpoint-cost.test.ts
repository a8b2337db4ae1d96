/** A checkpoint costs what changed, not what the store holds: counted in bytes, not in time. */
import { expect, test } from "vitest";
import type { PutResult } from "../../src/storage/backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";
import { repeat } from "../support/effort.ts";

const UPDATES = repeat({ quick: 2_500, full: 10_000 });
const THRESHOLD = 100;
const [FEW, MANY] = [1_000, repeat({ quick: 15_000, full: 60_000 })];

class CountingBackend extends MemoryBackend {
  snapshotBytes = 0;

  override async put(...args: Parameters<MemoryBackend["put"]>): Promise<PutResult> {
    const [path, body] = args;
    if (path.startsWith("snapshots/") && body instanceof Uint8Array)
      this.snapshotBytes += body.length;
    if (path.startsWith("snapshots/") && !(body instanceof Uint8Array)) {
      const counted = count(body, (bytes) => (this.snapshotBytes += bytes));
      return super.put(path, counted, args[2]);
    }
    return super.put(...args);
  }
}

async function* count(
  body: AsyncIterable<Uint8Array>,
  add: (bytes: number) => void,
): AsyncIterable<Uint8Array> {
  for await (const chunk of body) {
    add(chunk.length);
    yield chunk;
  }
}

/** Bytes of snapshots that checkpoints of 100 updates each write, in a store of `records`. */
async function bytesOfCheckpoints(records: number): Promise<number> {
  const backend = new CountingBackend();
  const options = { backend, checkpointThreshold: THRESHOLD, checkpointOnClose: false };
  const record = (n: number): object => ({ n, title: `Task number ${n}`, status: "active" });
  await using store = await Store.open<unknown>(`memory-${records}`, options);
  await store.batch(() => {
    for (let n = 0; n < records; n++) void store.set(`task-${n}`, record(n));
  });
  backend.snapshotBytes = 0;
  for (let n = 0; n < UPDATES; n += THRESHOLD) {
    await store.batch(() => {
      for (let at = n; at < n + THRESHOLD; at++) {
        void store.set(`task-${(at * 7919) % records}`, record(-at));
      }
    });
  }
  expect(store.stats().opsCount).toBeLessThan(THRESHOLD);
  return backend.snapshotBytes;
}

test(`checkpoints of ${MANY} records write no more than twice those of ${FEW}`, async () => {
  const [small, large] = [await bytesOfCheckpoints(FEW), await bytesOfCheckpoints(MANY)];
  console.log(
    `snapshot bytes of ${UPDATES / THRESHOLD} checkpoints: ${small} of ${FEW} records, ${large} of ${MANY}`,
  );
  expect(large).toBeLessThan(2 * small);
});
