/** One function for a thousand stores: what it costs, who has a turn, and who waits for whom. */
import { MemoryBackend, UnavailableError } from "opslog-serverless";
import { describe, expect, test } from "vitest";
import { compactFleet, type FleetReport } from "../../src/lambda/compactor.ts";
import type { S3Access } from "../../src/lambda/s3-access.ts";
import { sdkAccess } from "../../src/lambda/sdk-access.ts";
import { type ManualRuntime, manualRuntime } from "../support/manual-runtime.ts";
import { capturedOutput, put } from "./compactor-support.ts";
import { rejection } from "./support.ts";

const { log } = capturedOutput();

const STORES = 1_000;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const SCHEDULED = { "detail-type": "Scheduled Event" };
/** Some hundred thousand calls of a backend. */
const LONG_MS = 120_000;

/** A store that counts its requests, each of which takes a while. */
class Counted extends MemoryBackend {
  readonly #runtime: ManualRuntime;
  requests = 0;
  puts = 0;
  callMs = 0;
  fails = false;

  constructor(runtime: ManualRuntime) {
    super({ runtime });
    this.#runtime = runtime;
  }

  override async get(...args: Parameters<MemoryBackend["get"]>): ReturnType<MemoryBackend["get"]> {
    this.requests++;
    if (this.callMs > 0) await this.#runtime.advance(this.callMs);
    if (this.fails) throw new UnavailableError("busy");
    return super.get(...args);
  }

  override async put(...args: Parameters<MemoryBackend["put"]>): ReturnType<MemoryBackend["put"]> {
    this.requests++;
    this.puts++;
    return super.put(...args);
  }

  override list(...args: Parameters<MemoryBackend["list"]>): ReturnType<MemoryBackend["list"]> {
    this.requests++;
    return super.list(...args);
  }
}

/** Stores s3://bucket/stores/0000 and so on, each with a record, compacted, and quiet for a day. */
class Thousand {
  readonly runtime: ManualRuntime = { ...manualRuntime(), random: () => 0 };
  readonly backends = new Map<string, Counted>();
  /** Prefixes that were listed in search of a store. */
  listed: string[] = [];
  searches = 0;
  readonly #under: string | undefined;
  invoke!: (event?: unknown, ms?: number) => Promise<FleetReport>;

  private constructor(under: string | undefined) {
    this.#under = under;
    this.startProcess();
  }

  static async make({ under }: { under?: string } = {}): Promise<Thousand> {
    const made = new Thousand(under);
    for (let n = 0; n < STORES; n++) await made.write(made.add(n));
    made.startProcess();
    await made.invoke({}, DAY_MS);
    await made.runtime.advance(DAY_MS);
    while ((await made.done({})).some((outcome) => outcome !== "idle"));
    await made.runtime.advance(DAY_MS);
    made.startProcess();
    return made;
  }

  add(n: number): string {
    const location = `s3://bucket/stores/${String(n).padStart(4, "0")}`;
    this.backends.set(location, new Counted(this.runtime));
    return location;
  }

  at(location: string): Counted {
    const backend = this.backends.get(location);
    if (backend === undefined) throw new Error(`no store ${location}`);
    return backend;
  }

  write(location: string, ...ids: string[]): Promise<void> {
    return put(location, this.at(location), ...(ids.length === 0 ? ["x"] : ids));
  }

  get requests(): number {
    return [...this.backends.values()].reduce((sum, { requests }) => sum + requests, 0);
  }

  startProcess(): void {
    const stores =
      this.#under === undefined
        ? { locations: [...this.backends.keys()] }
        : { discover: { under: this.#under } };
    const options = { ...stores, backend: (at: string) => this.at(at), log, metrics: false };
    const handler = compactFleet(options, this.#s3(), this.runtime);
    this.invoke = (event = SCHEDULED, ms = 5 * MINUTE_MS) => {
      const endMs = this.runtime.nowMs() + ms;
      const getRemainingTimeInMillis = (): number => endMs - this.runtime.nowMs();
      return handler(event, { awsRequestId: "one", getRemainingTimeInMillis });
    };
  }

  /** Lists as S3 does: every prefix, and below it what is not known. */
  #s3(): S3Access {
    const listLocations: S3Access["listLocations"] = async (_under, { known, isStore }) => {
      this.searches++;
      const prefixes = [...this.backends.keys(), "s3://bucket/stores/notes"];
      return prefixes.filter((location) => {
        const name = location.slice("s3://bucket/stores/".length);
        const verdict = known(name);
        if (verdict === undefined) this.listed.push(name);
        return verdict ?? isStore(name === "notes" ? "readme.txt" : "manifest.json");
      });
    };
    return { ...sdkAccess(), listLocations };
  }

  /** Outcomes of the passes of an invocation. */
  async done(event?: unknown): Promise<string[]> {
    const { stores } = await this.invoke(event);
    return stores.flatMap((store) => (store.outcome === "done" ? [store.report.outcome] : []));
  }
}

describe("a thousand stores", { timeout: LONG_MS }, () => {
  test("that are idle cost two requests each every 15 minutes, none between", async () => {
    const fleet = await Thousand.make();
    const before = fleet.requests;
    const perInvocation: number[] = [];
    for (let minutes = 0; minutes < 60; minutes++) {
      const then = fleet.requests;
      await fleet.invoke();
      perInvocation.push(fleet.requests - then);
      await fleet.runtime.advance(MINUTE_MS);
    }
    expect(fleet.requests - before).toBe(2 * STORES * 4);
    expect(perInvocation.filter((requests) => requests > 0)).toHaveLength(4);
  });

  test("one that is written is compacted every minute, whatever the others do", async () => {
    const fleet = await Thousand.make();
    await fleet.invoke();
    const busy = "s3://bucket/stores/0500";
    await fleet.write(busy);
    // By name: the others are not looked at.
    const before = fleet.requests;
    const { stores } = await fleet.invoke({ location: busy });
    expect(stores).toMatchObject([{ location: busy, report: { outcome: "published" } }]);
    expect(fleet.requests - before).toBeLessThan(30);
    for (let minutes = 0; minutes < 5; minutes++) {
      await fleet.runtime.advance(MINUTE_MS);
      await fleet.write(busy, `m${minutes}`);
      const then = fleet.requests;
      expect(await fleet.done()).toEqual(["published"]);
      expect(fleet.requests - then).toBeLessThan(40);
    }
  });

  test("have their turn within as many invocations as it takes, the last ones, too", async () => {
    const fleet = await Thousand.make();
    // 0.4 s for each: an invocation of 5 minutes reaches about 700 of them.
    for (const [location, backend] of fleet.backends) {
      await fleet.write(location, "y");
      Object.assign(backend, { callMs: 50, puts: 0 });
    }
    let invocations = 0;
    const published = (): number =>
      [...fleet.backends.values()].filter(({ puts }) => puts > 0).length;
    const rounds: number[] = [];
    while (published() < STORES) {
      const before = published();
      await fleet.invoke(SCHEDULED);
      rounds.push(published() - before);
      if (++invocations > 20) break;
    }
    // Each invocation goes on where the one before stopped: no store has a second turn before all had one.
    expect(published()).toBe(STORES);
    expect(rounds.slice(0, -1).every((reached) => reached === rounds[0])).toBe(true);
    expect(invocations).toBe(Math.ceil(STORES / (rounds[0] ?? 0)));
  });

  test("are not held up by some that fail", async () => {
    const fleet = await Thousand.make();
    const locations = [...fleet.backends.keys()];
    for (const location of locations) await fleet.write(location, "y");
    for (const location of locations.slice(0, 10)) fleet.at(location).fails = true;
    for (const backend of fleet.backends.values()) backend.puts = 0;
    const error = await rejection(fleet.invoke());
    expect(String(error)).toMatch(/10 of 1000 stores could not be compacted/);
    const reached = [...fleet.backends.values()].filter(({ puts }) => puts > 0);
    expect(reached).toHaveLength(STORES - 10);
  });

  test("that are found by their prefix are searched for once, and then only for new ones", async () => {
    const fleet = await Thousand.make({ under: "s3://bucket/stores/" });
    Object.assign(fleet, { listed: [], searches: 0 });
    await fleet.invoke();
    expect(fleet.listed).toHaveLength(STORES + 1);
    fleet.listed = [];
    // What is new is found within 15 minutes by the schedule, and at once by an event that names it.
    const [late, named] = [fleet.add(STORES), fleet.add(STORES + 1)];
    for (const location of [late, named]) await fleet.write(location);
    const at = `${named}/ops/6/x/1-1-1-0.jsonl`.slice("s3://bucket/".length);
    const object = { s3: { bucket: { name: "bucket" }, object: { key: at } } };
    const { stores } = await fleet.invoke({ Records: [object] });
    expect(stores).toMatchObject([{ location: named, report: { outcome: "published" } }]);
    let minutes = 0;
    while (fleet.at(late).puts === 1 && minutes < 60) {
      await fleet.runtime.advance(MINUTE_MS);
      await fleet.invoke();
      minutes++;
    }
    expect(minutes).toBeLessThanOrEqual(16);
    expect(fleet.listed.filter((name) => name !== "notes")).toEqual(["1000", "1001"]);
    // In a day nothing new was found: a search every 15 minutes, and one LIST for what is no store.
    await fleet.runtime.advance(DAY_MS);
    await fleet.invoke();
    await fleet.runtime.advance(20 * MINUTE_MS);
    Object.assign(fleet, { listed: [], searches: 0 });
    for (minutes = 0; minutes < 60; minutes++) {
      await fleet.runtime.advance(MINUTE_MS);
      await fleet.invoke();
    }
    expect([fleet.searches, fleet.listed]).toEqual([4, ["notes", "notes", "notes", "notes"]]);
  });
});
