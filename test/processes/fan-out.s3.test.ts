/** A compactor that is a script, and its workers: processes over a real S3 server. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { Store } from "opslog-serverless";
import { type CompactorReport, createCompactor } from "opslog-serverless/lambda";
import { expect, test, vi } from "vitest";
import { settings } from "../../esbuild.settings.mjs";
import type { CompactionTask } from "../../src/compaction/report.ts";
import { lambdaContext } from "../lambda/support.ts";
import { liveS3Bucket, liveS3Endpoint } from "../support/live-s3.ts";
import { writeLongLog } from "../support/long-log.ts";
import { oncePerRun } from "../support/once-per-run.ts";

const SEGMENTS = 10_000;
const LONG_MS = 180_000;

interface Line extends CompactorReport {
  readonly task?: CompactionTask;
}

async function bundle(directory: string): Promise<void> {
  const entry = fileURLToPath(new URL("fan-out-program.ts", import.meta.url));
  await build({ ...settings, entryPoints: [entry], outdir: directory });
}

/** Runs the script until it and its workers have ended. */
async function run(location: string): Promise<Line[]> {
  const directory = await oncePerRun("fan-out-program", bundle);
  const env = { ...process.env, AWS_ENDPOINT_URL_S3: liveS3Endpoint, OPSLOG_LOCATION: location };
  const script = join(directory, "fan-out-program.mjs");
  const { stdout } = await promisify(execFile)(process.execPath, [script], { env });
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

test("processes of one script share a backlog on S3", { timeout: LONG_MS }, async () => {
  await using bucket = await liveS3Bucket();
  vi.stubEnv("AWS_ENDPOINT_URL_S3", liveS3Endpoint);
  const location = bucket.location();
  const numbers = Array.from({ length: SEGMENTS }, (_, n) => n);
  await writeLongLog(location, numbers.slice(0, 1));
  const log = (): void => undefined;
  await createCompactor({ location, metrics: false, log })({}, lambdaContext());
  await writeLongLog(location, numbers);

  const lines = await run(location);
  const own = lines.find(({ task }) => task === undefined);
  expect(own).toMatchObject({ outcome: "published", more: true });
  expect(lines).toHaveLength(1 + (own?.workers ?? 0));
  expect(own?.workers).toBeGreaterThan(0);
  const merged = lines.map(({ segments }) => segments);
  expect(merged.reduce((sum, each) => sum + each)).toBe(SEGMENTS);
  // The first one has left a part of the log to the others.
  expect(own?.segments).toBeLessThan(SEGMENTS);
  expect(await run(location)).toMatchObject([{ backlog: { segments: 0 }, workers: 0 }]);

  await using store = await Store.open<number>(location, {
    backend: bucket.backend(),
    readOnly: true,
  });
  expect(new Map(store.entries())).toEqual(new Map(numbers.map((n) => [`r${n}`, n])));
});
