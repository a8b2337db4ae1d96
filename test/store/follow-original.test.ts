/** A reader here follows a program that still writes with the original opslog. */
import { join } from "node:path";
import { Store as OriginalStore } from "@backloghq/opslog";
import { expect, onTestFinished, test } from "vitest";
import { Store } from "../../src/store/store.ts";
import { tempDir } from "../support/temp-dir.ts";

test("tail returns what changed, checkpoints, batches and truncating undos included", async () => {
  const directory = await tempDir();
  onTestFinished(() => directory[Symbol.asyncDispose]());
  const location = join(directory.path, "store");
  const writer = new OriginalStore<number>();
  await writer.open(location, { checkpointThreshold: 5 });
  await writer.set("first", 1);
  const reader = await Store.open<number>(location, { readOnly: true });
  const copy = new Map(reader.entries());
  expect(await reader.tail()).toEqual([]);
  for (let n = 0; n < 40; n++) {
    if (n % 7 === 3) await writer.undo();
    else if (n % 5 === 4)
      await writer.batch(() => [`a${n % 3}`, "b"].map((id) => writer.set(id, n)));
    else await writer.set(`c${n % 4}`, n);
    if (n % 3 > 0) continue;
    for (const { op, id, data } of await reader.tail()) {
      if (op === "set" && data !== undefined) copy.set(id, data);
      else copy.delete(id);
    }
    expect(copy, `after ${n}`).toEqual(new Map(reader.entries()));
    expect(copy, `after ${n}`).toEqual(new Map(writer.entries()));
  }
  expect(writer.stats().opsCount, "it has checkpointed").toBeLessThan(5);
  await writer.close();
  await reader.close();
});
