/** What the model takes as given: how long requests and work take, and what a function costs. */

/** How fast one worker is: a Lambda function with one vCPU. */
export interface Speed {
  /** CPU ms that one segment of the log takes: GET, check, merge, its share of a deletion. */
  readonly segmentMs: number;
  /** Bytes of lines of runs that are read, merged and rewritten in one ms. */
  readonly mergeBytesPerMs: number;
  /** One request that others wait for. */
  readonly requestMs: number;
  /** One page of a LIST, and what a listed key takes of CPU. */
  readonly pageMs: number;
  readonly keyMs: number;
  /** To encode, check and decode a manifest, by its bytes. */
  readonly manifestMsPerByte: number;
  /** To plan and to publish, for each run of the store. */
  readonly runMs: number;
}

/**
 * CPU as measured: of a segment in `docs/performance.md`, of merges of compressed runs in
 * `docs/DECISIONS.md`, of keys in pages of a LIST. Latencies are those of S3 Standard, warm.
 */
export const MEASURED: Speed = {
  segmentMs: 0.47,
  mergeBytesPerMs: 81_000,
  requestMs: 30,
  pageMs: 60,
  keyMs: 0.01,
  manifestMsPerByte: 30 / 1_000_000,
  runMs: 0.01,
};

/** How many times as long the lines of a run are as the run (`docs/DECISIONS.md`). */
export const COMPRESSION = 3.96;

/** With the AWS SDK; the other is with the light client. */
export const SDK_SEGMENT_MS = 1.11;

/** AWS Lambda, x86, us-east-1: an assumption, as https://aws.amazon.com/lambda/pricing/ lists it. */
export const LAMBDA = {
  /** Buys one vCPU. */
  memoryGb: 1_769 / 1_024,
  usdPerGbSecond: 0.0000166667,
  usdPerInvocation: 0.2 / 1_000_000,
} as const;
