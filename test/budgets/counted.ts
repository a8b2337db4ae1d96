/** Stores on a real server whose requests are counted on their way. */
import { afterAll, beforeAll, beforeEach } from "vitest";
import type { StorageBackend } from "../../src/storage/backend.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";
import { liveS3Bucket, liveS3Endpoint, reachedBy } from "../support/live-s3.ts";
import type { LiveBucket } from "../support/live-s3.ts";
import { recordingProxy } from "../support/recording-proxy.ts";
import type { RecordingProxy } from "../support/recording-proxy.ts";
import { type Cost, countCost, describeCost } from "./cost.ts";
import type { Task } from "./tasks.ts";

/** A server nearby answers before the request sent beside it arrives, as if one had waited. */
const DISTANCE_MS = 30;

export interface CountedStores {
  readonly live: LiveBucket;
  /** One whose requests are counted. */
  backend(): StorageBackend;
  /** Opens through the proxy. */
  openCounted(name: string, options?: StoreOptions<Task>): Promise<Store<Task>>;
  /** What `act` costs; noted for the output of the tests. */
  cost(what: string, act: () => Promise<unknown>): Promise<Cost>;
}

/** To be called once at the top of a file. @param fill makes what its tests read */
export function countedStores(fill: (live: LiveBucket) => Promise<void>): CountedStores {
  let bucket: LiveBucket | undefined;
  let recording: RecordingProxy | undefined;
  const opened: Store<Task>[] = [];
  const measured: string[] = [];
  const present = <V>(value: V | undefined): V => {
    if (value === undefined) throw new Error("used before the tests began");
    return value;
  };

  beforeAll(async () => {
    recording = await recordingProxy(liveS3Endpoint ?? "", { answerDelayMs: DISTANCE_MS });
    bucket = reachedBy(recording.endpoint, await liveS3Bucket());
    await fill(bucket);
  }, 120_000);

  beforeEach(() => present(recording).reset());

  afterAll(async () => {
    await Promise.all(opened.map((store) => store.close()));
    await recording?.close();
    await bucket?.[Symbol.asyncDispose]();
    console.log(["measured:", ...measured].join("\n  "));
  });

  const backend = (): StorageBackend => present(bucket).backend();

  return {
    get live() {
      return present(bucket);
    },
    backend,
    openCounted: async (name, options = {}) => {
      const store = await Store.open<Task>(present(bucket).location(name), {
        backend: backend(),
        agentId: "counted",
        checkpointOnClose: false,
        checkpointThreshold: Infinity,
        ...options,
      });
      opened.push(store);
      return store;
    },
    cost: async (what, act) => {
      const counted = await countCost(present(recording), act);
      measured.push(`${what}: ${describeCost(counted)}`);
      return counted;
    },
  };
}
