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

let others = 0;

/** Another process: its own clock, its own dice. */
function another(startMs?: number): ManualRuntime {
  const name = (++others).toString(16).padStart(4, "f");
  let counter = 0;
  const randomHex = (digits: number): string =>
    name + (++counter).toString(16).padStart(digits - 4, "0");
  return Object.assign(manualRuntime(startMs), { randomHex });
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
  expect(await content(backend)).toEqual({
    owner: expect.stringMatching(/^[0-9a-f]{16}$/),
    ttlMs: TTL_MS,
  });
  expect(await take()).toBeUndefined();
  await lease.release();
  await lease.release();
  expect(await content(backend)).toEqual({ owner: null, ttlMs: TTL_MS });
  await using next = await taken(take());
  expect([lease.lost, next.lost]).toEqual([true, false]);
});

test("of many that ask at once one gets it, also when it was released or has expired", async () => {
  const { runtime, take } = await scene();
  const frozen = another();
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
    const frozen = another(0);
    const dead = await taken(take(frozen));
    const eager = another(runtime.nowMs() + 1e9);
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
    await taken(take(another(), 1_000));
    await runtime.advance(1_001);
    const greedy = await take(another(), 1e9);
    expect(greedy).toBeDefined();
    await runtime.advance(15 * 60_000);
    expect(await take()).toBeUndefined();
    await runtime.advance(1);
    expect(await take(another())).toBeDefined();
  });

  test.each(["", "garbage", "null", "[]", '{"owner":"x"}', '{"owner":"x","ttlMs":-5}'])(
    "of what cannot be read (%s) is by its age",
    async (body) => {
      const { backend, runtime, take } = await scene();
      await backend.writeBlob(PATH, body);
      expect(await take()).toBeUndefined();
      await runtime.advance(TTL_MS + 1);
      expect(await take(another())).toBeDefined();
    },
  );
});

describe("confirm", () => {
  test("sends no request while renewals succeed", async () => {
    const { backend, runtime, take } = await scene();
    const lease = await taken(take());
    for (let n = 0; n < 9; n++) {
      await runtime.advance(TTL_MS / 3);
      const before = backend.puts;
      expect(await lease.confirm(runtime.nowMs())).toBe(true);
      expect(backend.puts).toBe(before);
    }
  });

  test.each(["the local clock", "the medium's dates"])("renews by %s", async (clock) => {
    const { backend, runtime, take } = await scene();
    // Its own waits never end: it was frozen. Its clock went on, or stood still.
    const idle = (): Promise<void> => new Promise(() => {});
    const holder = Object.assign(another(runtime.nowMs()), { idle });
    const lease = await taken(take(holder));
    await runtime.advance(TTL_MS - 1);
    const seenMs = clock === "the local clock" ? 0 : runtime.nowMs();
    if (seenMs === 0) await holder.advance(TTL_MS - 1);
    expect(await lease.confirm(seenMs)).toBe(true);
    expect(backend.puts).toBe(2);
    await runtime.advance(TTL_MS);
    expect(await take(), "counted from the renewal on").toBeUndefined();
    await runtime.advance(1);
    await taken(take());
    if (seenMs === 0) await holder.advance(TTL_MS + 1);
    expect(await lease.confirm(seenMs === 0 ? 0 : runtime.nowMs())).toBe(false);
  });

  test("a clock set back hides nothing that the medium shows, one set forward costs a request", async () => {
    const { backend, runtime, take } = await scene();
    const holder = another(runtime.nowMs());
    const lease = await taken(take(holder));
    await holder.advance(-1e9);
    await runtime.advance(TTL_MS + 1);
    await taken(take(another()));
    expect(await lease.confirm(runtime.nowMs())).toBe(false);

    const other = await taken(Lease.take(backend, holder, { path: "other.lease", ttlMs: TTL_MS }));
    const ahead = another(runtime.nowMs() + 1e9);
    const third = await taken(Lease.take(backend, ahead, { path: "third.lease", ttlMs: TTL_MS }));
    const before = backend.puts;
    expect([await other.confirm(0), await third.confirm(0)]).toEqual([true, true]);
    expect(backend.puts).toBe(before);
  });
});

describe("a write that fails", () => {
  test("at taking: unknown is not taken, and is not blocked for ever", async () => {
    const { backend, runtime, take } = await scene();
    backend.failing = { error: new WriteOutcomeUnknownError("lost"), landing: true };
    expect(await take()).toBeUndefined();
    backend.failing = { error: new UnavailableError("down"), landing: false };
    await expect(Lease.take(backend, runtime, { path: "other.lease", ttlMs: 1 })).rejects.toThrow(
      UnavailableError,
    );
    backend.failing = undefined;
    expect(await take()).toBeUndefined();
    await runtime.advance(TTL_MS + 1);
    expect(await take(another())).toBeDefined();
  });

  test.each([true, false])("at renewing: tried again, landed %s", async (landing) => {
    const { backend, runtime, take } = await scene();
    const lease = await taken(take());
    const down = new UnavailableError("down");
    backend.failing = { error: down, landing };
    await runtime.advance(TTL_MS / 3);
    expect([lease.failure, lease.lost]).toEqual([down, false]);
    await runtime.advance(TTL_MS / 3);
    backend.failing = undefined;
    await runtime.advance(TTL_MS / 3);
    expect([lease.failure, lease.lost]).toEqual([undefined, false]);
    await runtime.advance(TTL_MS / 3);
    expect(await take(), "it is held").toBeUndefined();
    await lease.release();
    expect(await content(backend)).toEqual({ owner: null, ttlMs: TTL_MS });
  });

  test("for the whole time: lost, and held again when nobody took it", async () => {
    const { backend, runtime, take } = await scene();
    const lease = await taken(take());
    backend.failing = { error: new UnavailableError("down"), landing: false };
    for (let n = 0; n < 4; n++) await runtime.advance(TTL_MS / 3);
    expect(lease.lost).toBe(true);
    await expect(lease.confirm(0)).rejects.toThrow("down");
    backend.failing = undefined;
    expect(await lease.confirm(0)).toBe(true);
    expect(lease.lost).toBe(false);
    expect(await take(another())).toBeUndefined();
  });

  test("for the whole time: lost for good when another took it, in use or not", async () => {
    for (const inUse of [true, false]) {
      const { backend, runtime, take } = await scene();
      const lease = await taken(take());
      backend.failing = { error: new UnavailableError("down"), landing: false };
      for (let n = 0; n < 4; n++) await runtime.advance(TTL_MS / 3);
      backend.failing = undefined;
      const next = await taken(take(another(runtime.nowMs())));
      if (!inUse) await next.release();
      const before = await content(backend);
      expect(await lease.confirm(0)).toBe(false);
      expect(await lease.confirm(0)).toBe(false);
      await lease.release();
      expect([lease.lost, await content(backend)]).toEqual([true, before]);
    }
  });

  test("at releasing: the call rejects, the lease ends by its age", async () => {
    const { backend, runtime, take } = await scene();
    const lease = await taken(take());
    backend.failing = { error: new UnavailableError("down"), landing: false };
    await expect(lease.release()).rejects.toThrow(UnavailableError);
    backend.failing = undefined;
    expect(await take()).toBeUndefined();
    await runtime.advance(TTL_MS + 1);
    expect(await take(another())).toBeDefined();
  });
});

test("a date from the future keeps nobody out: its holder is gone, and the clock was set back", async () => {
  const { runtime, take } = await scene();
  await using _gone = await taken(take());
  await runtime.advance(-10 * 365 * 86_400_000);
  await using next = await taken(take(another(runtime.nowMs())));
  expect(next.lost).toBe(false);
});

test("a holder that was frozen while its clock was set back checks the lease before it continues", async () => {
  const { runtime, take } = await scene();
  const frozen = another();
  let steadyMs = 0;
  const lease = await taken(take({ ...frozen, steadyMs: () => steadyMs, wallMs: () => -steadyMs }));
  await runtime.advance(TTL_MS + 1_000);
  await using _next = await taken(take());
  expect(await lease.confirm(0)).toBe(true);
  steadyMs = TTL_MS + 1_000;
  expect(lease.lost).toBe(true);
  expect(await lease.confirm(0)).toBe(false);
});
