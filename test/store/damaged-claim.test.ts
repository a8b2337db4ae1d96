/** A claim that cannot be read: nothing is decided by its lane, until it is there again. */
import { describe, expect, test } from "vitest";
import { CorruptionError } from "../../src/core/errors.ts";
import { laneOf } from "../../src/core/lane.ts";
import { claimPath } from "../../src/format/paths.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";
import { flip } from "../runs/support.ts";

const ID = "counter";
const plus = (by: number) => (current: number | undefined) => (current ?? 0) + by;

/** A record in the first two claims of its lane, of which the second is damaged. */
async function damagedScene() {
  const backend = new MemoryBackend();
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  const open = (agentId: string, skipLoad: boolean): Promise<Store<number>> =>
    Store.open<number>("memory", {
      backend,
      agentId,
      skipLoad,
      onWarning,
      checkpointOnClose: false,
    });
  const first = await open("first", false);
  for (let n = 0; n < 2; n++) await first.update(ID, plus(1));
  await first.close();
  const path = claimPath({ lane: laneOf(ID), n: 2 });
  const found = await backend.get(path);
  if (found.status !== "found") throw new Error(`${path} is ${found.status}`);
  const whole = Buffer.from(found.body);
  const write = async (bytes: Buffer): Promise<void> => {
    await backend.delete([path]);
    await backend.put(path, bytes, { ifAbsent: true });
  };
  return {
    open,
    path,
    warnings,
    damage: () => write(flip(whole, whole.length - 10, 1)),
    restore: () => write(whole),
  };
}

describe.each([
  ["eager", false],
  ["lazy", true],
] as const)("in a store that is %s", (_, skipLoad) => {
  test("nothing is decided by the lane of a damaged claim, until it was restored", async () => {
    const scene = await damagedScene();
    await scene.damage();
    await using store = await scene.open("a", skipLoad);
    for (let n = 0; n < 3; n++) {
      const refused = store.update(ID, plus(10));
      await expect(refused).rejects.toThrow(CorruptionError);
      await expect(refused).rejects.toMatchObject({ path: scene.path, action: "stop" });
      await expect(store.set(ID, 7, { ifAbsent: true })).rejects.toThrow(CorruptionError);
    }
    expect(scene.warnings.filter((one) => one.includes(scene.path))).toHaveLength(1);

    await scene.restore();
    expect(await store.update(ID, plus(10))).toBe(12);
    expect(await store.read(ID, { freshness: "strong" })).toBe(12);
  });
});
