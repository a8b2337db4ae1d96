/** One invocation of the compactor of the built package: the task as an argument, a line of JSON as answer. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type * as Package from "../../src/index.ts";
import type * as Lambda from "../../src/lambda/light/index.ts";
import type * as Light from "../../src/s3/light/index.ts";
import type { StorageBackend } from "../../src/storage/backend.ts";
import type { Invocation, InvocationTask } from "./tasks.ts";
import { watch } from "./watched.ts";

/** A module of the package as `npm run build` left it. */
async function built<M>(path: string): Promise<M> {
  const module: M = await import(pathToFileURL(resolve("dist", path)).href);
  return module;
}

async function backendOf(location: string): Promise<StorageBackend> {
  if (location.startsWith("s3://")) {
    const { LightS3Backend } = await built<typeof Light>("s3/light/index.js");
    return new LightS3Backend();
  }
  const { FsBackend } = await built<typeof Package>("index.js");
  return new FsBackend();
}

async function invoke(task: InvocationTask): Promise<Invocation> {
  const { location, durationMs, settings, options } = task;
  const { createCompactor } = await built<typeof Lambda>("lambda/light/index.js");
  const backend = await backendOf(location);
  const handler = createCompactor({
    location,
    backend,
    metrics: false,
    log: () => undefined,
    ...settings,
    ...options,
  });
  const beganMs = performance.now();
  const steps = watch(backend);
  const report = await handler(
    {},
    {
      awsRequestId: "measurement",
      getRemainingTimeInMillis: () => beganMs + durationMs - performance.now(),
    },
  );
  const wallMs = performance.now() - beganMs;
  const { user, system } = process.cpuUsage();
  const peakRssBytes = process.resourceUsage().maxRSS * 1_024;
  return { report, wallMs, cpuMs: (user + system) / 1_000, peakRssBytes, steps };
}

const task: InvocationTask = JSON.parse(process.argv[2] ?? "");
process.stdout.write(`${JSON.stringify(await invoke(task))}\n`, () => process.exit());
