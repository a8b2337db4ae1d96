/** A checkpoint costs what changed, not what the store holds: counted in bytes, not in time. */
import { expect, test } from "vitest";
import type { PutResult } from "../../src/storage/backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";

const UPDATES = 10_000;
const THRESHOLD = 100;

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

/** Bytes of snapshots that 100 checkpoints of 100 updates each write, in a store of `records`. */
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

test("checkpoints of 60,000 records write no more than twice those of 1,000", async () => {
  const [small, large] = [await bytesOfCheckpoints(1_000), await bytesOfCheckpoints(60_000)];
  console.log(`snapshot bytes of 100 checkpoints: ${small} of 1,000 records, ${large} of 60,000`);
  expect(large).toBeLessThan(2 * small);
});
