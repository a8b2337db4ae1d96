/** What a store does where a medium may ignore preconditions, on a medium that does so to order. */
import { beforeEach, describe, expect, test } from "vitest";
import {
  AccessDeniedError,
  BudgetExceededError,
  NotSupportedError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "../../src/core/errors.ts";
import { covers, coversServer, type ProofScope, withProof } from "../../src/core/proof-scope.ts";
import { probePath } from "../../src/format/paths.ts";
import type { PutResult } from "../../src/storage/backend.ts";
import { compact } from "../../src/compaction/compact.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";
import { AskedMedium, ignoring, SCOPE } from "./asked-medium.ts";

const LAZY = { agentId: "lazy", skipLoad: true } as const;

let medium: AskedMedium;
beforeEach(async () => {
  medium = new AskedMedium();
  await medium.initialize();
});

function open(options: StoreOptions<number> = {}): Promise<Store<number>> {
  return Store.open<number>("shared", { backend: medium, checkpointOnClose: false, ...options });
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => expect.fail(`must reject, but gave ${String(value)}`),
    (error: unknown) => error,
  );
}

describe("a lazy writer without a verdict", () => {
  test("repeats its first write once, whatever store of the process writes next", async () => {
    const store = await open(LAZY);
    await store.set("x", 1);
    await store.set("x", 2);
    const other = await open(LAZY);
    await other.set("y", 1);
    expect(medium.calls.map((call) => call.split(" ")[2])).toEqual([
      "written",
      "conflict",
      "written",
      "written",
    ]);
    expect(medium.calls[1]?.replace("conflict", "written")).toBe(medium.calls[0]);
  });

  test("writes nothing more where the repeated write was accepted, and takes the first back", async () => {
    medium.effective = ignoring;
    const store = await open(LAZY);
    expect(await rejection(store.set("x", 1))).toBeInstanceOf(NotSupportedError);
    expect(await medium.paths()).toEqual([]);
    const { length } = medium.calls;
    expect(await rejection(store.set("x", 2))).toBeInstanceOf(NotSupportedError);
    expect(medium.calls).toHaveLength(length);
    expect(await store.read("x")).toBeUndefined();
  });

  test("does not know its outcome where it may not delete; the next write is refused", async () => {
    medium.effective = ignoring;
    medium.failingDelete = new AccessDeniedError("no s3:DeleteObject");
    const store = await open(LAZY);
    const error = await rejection(store.set("x", 1));
    expect(error).toBeInstanceOf(WriteOutcomeUnknownError);
    expect(String(error)).toMatch(/does not honour If-None-Match.*could not be deleted/);
    expect(await rejection(store.set("x", 2))).toBeInstanceOf(NotSupportedError);
  });

  test("has an unknown outcome if the repeated write is not answered; the next one decides", async () => {
    const store = await open(LAZY);
    let puts = 0;
    medium.answer = async (_, put) => {
      if (++puts === 2) throw new UnavailableError("busy");
      return put();
    };
    const error = await rejection(store.set("x", 1));
    expect(error).toBeInstanceOf(WriteOutcomeUnknownError);
    expect(String(error)).toMatch(/was written, but .* busy/);
    await store.set("x", 2);
    await store.set("x", 3);
    expect(puts).toBe(5);
    expect(await store.read("x")).toBe(3);
  });

  test("has its proof where the first write was found by reading back", async () => {
    medium.answer = async (_, put) => ({ ...(await put()), readBack: true }) as PutResult;
    const store = await open(LAZY);
    await store.set("x", 1);
    expect(medium.calls).toHaveLength(1);
  });

  test("takes a compaction in between, which deletes what it wrote, for no proof of the opposite", async () => {
    const store = await open(LAZY);
    let puts = 0;
    medium.answer = async ({ path }, put) => {
      if (++puts === 2) await medium.shared.delete([path]);
      return put();
    };
    await store.set("x", 1);
    expect(medium.calls.map((call) => call.split(" ")[2])).toEqual([
      "written",
      "written",
      "conflict",
    ]);
  });

  test("asks by another object where compactions delete what it wrote again and again", async () => {
    const store = await open(LAZY);
    medium.answer = async ({ path }, put) => {
      if (!path.includes("/txn-")) await medium.shared.delete([path]);
      return put();
    };
    await store.set("x", 1);
    const asked = medium.calls.map((call) => [call.includes("/txn-"), call.split(" ")[2]]);
    expect(asked.filter(([isWitness]) => isWitness === true)).toEqual([
      [true, "written"],
      [true, "conflict"],
    ]);
    expect(await store.read("x", { freshness: "strong" })).toBe(1);
    expect((await medium.paths()).filter((path) => path.includes("/txn-"))).toEqual([]);
    await store.set("x", 2);
    expect(medium.calls).toHaveLength(asked.length + 1);
  });

  test("sends the repeated write beyond its budget", async () => {
    // Three looks, since the store is not there yet, a look for a lost manifest, and one write.
    const costBudget = { requests: 5, onBreach: "throw" } as const;
    const store = await open({ ...LAZY, costBudget });
    await store.set("x", 1);
    expect(medium.calls).toHaveLength(2);
    expect(await rejection(store.set("x", 2))).toBeInstanceOf(BudgetExceededError);
  });
});

describe("a verdict", () => {
  test("is for a server and a bucket, and for publishers for a client, too", () => {
    const proven = withProof([], SCOPE);
    expect(covers(proven, SCOPE)).toBe(true);
    const others = [{ endpoint: "https://two" }, { bucket: "c" }];
    for (const other of others) expect(coversServer(proven, { ...SCOPE, ...other })).toBe(false);
    const updated = { ...SCOPE, client: "client/2" };
    expect([covers(proven, updated), coversServer(proven, updated)]).toEqual([false, true]);
  });

  test("of a server that nobody can name is none", () => {
    const unnamed = { ...SCOPE, endpoint: "" };
    expect(withProof([], unnamed)).toEqual([]);
    expect(coversServer([unnamed], unnamed)).toBe(false);
  });

  test("is one of eight at most, the newest; one that is there is not kept twice", () => {
    let proven: readonly ProofScope[] = [];
    for (let n = 0; n < 20; n++) proven = withProof(proven, { ...SCOPE, client: `client/${n}` });
    expect(proven.map(({ client }) => client)).toEqual(
      Array.from({ length: 8 }, (_, n) => `client/${n + 12}`),
    );
    expect(withProof(proven, { ...SCOPE, client: "client/15" })).toBe(proven);
  });

  test("is kept at birth, used by writers, and probed again by another client's compaction", async () => {
    const born = await open({ agentId: "a" });
    expect(await medium.verdicts()).toEqual([SCOPE]);
    await born.set("x", 1);
    const newer = new AskedMedium(medium.shared);
    newer.proofScope = { ...SCOPE, client: "client/2" };
    const store = await open({ ...LAZY, backend: newer });
    await store.set("x", 2);
    expect(newer.calls).toHaveLength(1);
    await compact("shared", { backend: newer });
    expect(await medium.verdicts()).toEqual([SCOPE, newer.proofScope]);
    expect(newer.calls.filter((call) => call.includes(".probe"))).toHaveLength(5);
  });

  test("of one server is void for a writer on another", async () => {
    await open({ agentId: "a" });
    const elsewhere = new AskedMedium(medium.shared);
    elsewhere.proofScope = { ...SCOPE, endpoint: "https://two" };
    elsewhere.effective = ignoring;
    const store = await open({ ...LAZY, backend: elsewhere });
    expect(await rejection(store.set("x", 1))).toBeInstanceOf(NotSupportedError);
  });

  test("lifts a refusal once the server was mended", async () => {
    medium.effective = ignoring;
    const store = await open(LAZY);
    expect(await rejection(store.set("x", 1))).toBeInstanceOf(NotSupportedError);
    medium.effective = (precondition) => precondition;
    await open({ agentId: "a", backend: new AskedMedium(medium.shared) });
    await store.refresh();
    await store.set("x", 1);
  });

  test("is not needed where the medium has no scope", async () => {
    medium.proofScope = undefined;
    const store = await open({ agentId: "a" });
    await store.set("x", 1);
    await store.compact();
    expect(await medium.verdicts()).toEqual([]);
    expect(medium.calls.some((call) => call.includes(".probe"))).toBe(false);
  });
});

describe("a process that publishes", () => {
  test("writes nothing where a probe fails: no lease, no run, no manifest", async () => {
    const store = await open(LAZY);
    await store.set("x", 1);
    medium.effective = ignoring;
    const { length } = medium.calls;
    expect(await rejection(compact("shared", { backend: medium }))).toBeInstanceOf(
      NotSupportedError,
    );
    expect(medium.calls.slice(length).every((call) => call.includes(".probe"))).toBe(true);
    expect(await medium.paths()).toHaveLength(1);
    expect(await store.read("x")).toBe(1);
  });

  test("is not misled by others who publish, and collect its probes, meanwhile", async () => {
    const store = await open(LAZY);
    await store.set("x", 1);
    const other = new AskedMedium(medium.shared);
    other.proofScope = { ...SCOPE, client: "client/2" };
    let hasRaced = false;
    medium.answer = async ({ path }, put) => {
      if (path.startsWith("snapshots/snap-0-")) {
        if (!hasRaced) await compact("shared", { backend: other });
        hasRaced = true;
        // As a collector does that works on a newer generation.
        await medium.shared.delete([path]);
      }
      return put();
    };
    await compact("shared", { backend: medium });
    expect(hasRaced).toBe(true);
    expect(medium.calls.some((call) => call.includes("snap-1-"))).toBe(true);
    expect(await store.read("x")).toBe(1);
  });

  test("may lack the right to probe: the store is born, and each first write is the proof", async () => {
    medium.answer = async ({ path }, put) => {
      if (path.startsWith("snapshots/")) throw new AccessDeniedError("no s3:PutObject");
      return put();
    };
    const store = await open({ agentId: "a" });
    expect(await medium.verdicts()).toEqual([]);
    await store.set("x", 1);
    expect(medium.calls.map((call) => call.split(" ")[2])).toEqual([
      "written",
      "written",
      "conflict",
    ]);
  });

  test("collects what a probe left that was cut off", async () => {
    const left = probePath(0, "0123456789abcdef");
    await medium.shared.put(left, new Uint8Array(1), { ifAbsent: true });
    const store = await open(LAZY);
    await store.set("x", 1);
    await compact("shared", { backend: medium, gcGraceMs: 0 });
    expect(await medium.paths()).not.toContain(left);
  });
});
