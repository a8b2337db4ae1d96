/** A scan may show more than the last look of its store; what is deleted then must be reported. */
import { expect, test } from "vitest";
import { compact } from "../../src/compaction/compact.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";

test("a record that only a scan has shown is reported as deleted", async () => {
  const backend = new MemoryBackend();
  const writer = await Store.open<number>("x", { backend, agentId: "w", skipLoad: true });
  // Runs that were replaced stay for slow readers, merged log does not.
  const compactAll = (): Promise<unknown> => {
    return compact("x", { backend, full: true, segmentGraceMs: 0 });
  };
  await writer.set("a", 1);
  await compactAll();
  await writer.set("z", 3);
  const follower = await Store.open<number>("x", { backend, readOnly: true, skipLoad: true });
  expect(await follower.tail()).toEqual([]);
  await writer.set("b", 2);
  await compactAll();
  // The log of its last look is gone: the scan goes on in the run that holds it, and more.
  const shown: [string, number][] = [];
  for await (const record of follower.scan()) shown.push(record);
  expect(shown).toEqual([
    ["a", 1],
    ["b", 2],
    ["z", 3],
  ]);
  await writer.delete("b");
  await compactAll();
  expect(await follower.tail()).toMatchObject([{ op: "delete", id: "b" }]);
});
