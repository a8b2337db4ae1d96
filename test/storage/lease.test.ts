import { describe, expect, test } from "vitest";
import { UnavailableError, WriteOutcomeUnknownError } from "../../src/core/errors.ts";
import type { Precondition, PutResult, StorageBackend } from "../../src/storage/backend.ts";
import { Lease } from "../../src/storage/lease.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { manualRuntime, type ManualRuntime } from "../support/manual-runtime.ts";

const PATH = "compact.lease";
const TTL_MS = 60_000;

/** Puts of the lease can be made to fail. */
class LeaseBackend extends MemoryBackend {
  failing: { readonly error: Error; readonly landing: boolean } | undefined;
  puts = 0;

  override async put(
    path: string,
    body: Uint8Array,
    precondition: Precondition,
  ): Promise<PutResult> {
    this.puts++;
    const { failing } = this;
    if (failing !== undefined && !failing.landing) throw failing.error;
    const result = await super.put(path, body, precondition);
    if (failing !== undefined) throw failing.error;
    return result;
  }
}

interface Scene {
  readonly backend: LeaseBackend;
  /** Time of the medium, and of every holder but the frozen. */
  readonly runtime: ManualRuntime;
  take(holder?: ManualRuntime, ttlMs?: number): Promise<Lease | undefined>;
}

async function scene(): Promise<Scene> {
  const runtime = manualRuntime();
  const backend = new LeaseBackend({ runtime });
  await backend.initialize("x", { readOnly: false });
  const take = (holder = runtime, ttlMs = TTL_MS): Promise<Lease | undefined> =>
    Lease.take(backend, holder, { path: PATH, ttlMs });
  return { backend, runtime, take };
}

async function taken(lease: Promise<Lease | undefined>): Promise<Lease> {
  const found = await lease;
  if (found === undefined) throw new Error("the lease was not given");
  return found;
}

async function content(backend: StorageBackend): Promise<unknown> {
  return JSON.parse((await backend.readBlob(PATH)).toString());
}

test("one holder at a time; released for the next one without being deleted", async () => {
  const { backend, take } = await scene();
  const lease = await taken(take());
  expect(await content(backend)).toEqual({ owner: expect.stringMatching(/^[0-9a-f]{16}$/), ttlMs: TTL_MS }); // prettier-ignore
  expect(await take()).toBeUndefined();
  await lease.release();
  await lease.release();
  expect(await content(backend)).toEqual({ owner: null, ttlMs: TTL_MS });
  await using next = await taken(take());
  expect([lease.lost, next.lost]).toEqual([true, false]);
});

test("of many that ask at once one gets it, also when it was released or has expired", async () => {
  const { runtime, take } = await scene();
  const frozen = manualRuntime();
  for (let round = 0; round < 3; round++) {
    const askers = await Promise.all(Array.from({ length: 8 }, () => take(frozen)));
    const holders = askers.filter((lease) => lease !== undefined);
    expect(holders).toHaveLength(1);
    if (round === 0) await holders[0]?.release();
    else await runtime.advance(TTL_MS + 1);
  }
});

test("a holder that works renews at a third of the time and keeps it", async () => {
  const { backend, runtime, take } = await scene();
  const lease = await taken(take());
  expect(runtime.waitsMs).toEqual([TTL_MS / 3]);
  for (let n = 0; n < 12; n++) {
    await runtime.advance(TTL_MS / 3);
    expect(await take(), `after ${n + 1} renewals`).toBeUndefined();
  }
  expect([lease.lost, backend.puts]).toEqual([false, 13]);
  await lease.release();
  expect(runtime.waitsMs).toEqual([]);
});

describe("expiry", () => {
  test("is by the medium's clock alone, one ms after the time", async () => {
    const { runtime, take } = await scene();
    const frozen = manualRuntime(0);
    const dead = await taken(take(frozen));
    const eager = manualRuntime(runtime.nowMs() + 1e9);
    expect(await take(eager)).toBeUndefined();
    await runtime.advance(TTL_MS);
    expect(await take(eager)).toBeUndefined();
    await runtime.advance(1);
    await using next = await taken(take(eager));
    expect(next.lost).toBe(false);
    expect(dead.lost).toBe(false); // it has not looked yet
    await frozen.advance(TTL_MS / 3);
    expect(dead.lost).toBe(true);
    await dead.release();
    expect(await take(), "the release of a lost lease takes it from nobody").toBeUndefined();
  });

  test("is by the holder's time, but never later than 15 minutes", async () => {
    const { runtime, take } = await scene();
    await taken(take(manualRuntime(), 1_000));
    await runtime.advance(1_001);
    const greedy = await take(manualRuntime(), 1e9);
    expect(greedy).toBeDefined();
    await runtime.advance(15 * 60_000);
    expect(await take()).toBeUndefined();
    await runtime.advance(1);
    expect(await take(manualRuntime())).toBeDefined();
  });

  test.each(["", "garbage", "null", "[]", '{"owner":"x"}', '{"owner":"x","ttlMs":-5}'])(
    "of what cannot be read (%s) is by its age",
    async (body) => {
      const { backend, runtime, take } = await scene();
      await backend.writeBlob(PATH, body);
      expect(await take()).toBeUndefined();
      await runtime.advance(TTL_MS + 1);
      expect(await take(manualRuntime())).toBeDefined();
    },
  );
});

describe("a write that fails", () => {
  test("at taking: unknown is not taken, and is not blocked for ever", async () => {
    const { backend, runtime, take } = await scene();
    backend.failing = { error: new WriteOutcomeUnknownError("lost"), landing: true };
    expect(await take()).toBeUndefined();
    backend.failing = { error: new UnavailableError("down"), landing: false };
    await expect(Lease.take(backend, runtime, { path: "other.lease", ttlMs: 1 })).rejects.toThrow(UnavailableError); // prettier-ignore
    backend.failing = undefined;
    expect(await take()).toBeUndefined();
    await runtime.advance(TTL_MS + 1);
    expect(await take(manualRuntime())).toBeDefined();
  });

  test.each([true, false])("at renewing: the holder stops, landed %s", async (landing) => {
    const { backend, runtime, take } = await scene();
    const lease = await taken(take());
    backend.failing = { error: new UnavailableError("down"), landing };
    await runtime.advance(TTL_MS / 3);
    expect(lease.lost).toBe(true);
    expect(runtime.waitsMs).toEqual([]);
    backend.failing = undefined;
    const before = backend.puts;
    await lease.release();
    expect(backend.puts).toBe(before);
  });

  test("at releasing: the caller is told, the lease ends by its age", async () => {
    const { backend, runtime, take } = await scene();
    const lease = await taken(take());
    backend.failing = { error: new UnavailableError("down"), landing: false };
    await expect(lease.release()).rejects.toThrow(UnavailableError);
    backend.failing = undefined;
    expect(await take()).toBeUndefined();
    await runtime.advance(TTL_MS + 1);
    expect(await take(manualRuntime())).toBeDefined();
  });
});
