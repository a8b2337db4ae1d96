/** `npm run torture -- contention`: what its options are, and a run after the other. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { directoryMedium } from "../processes/directory.ts";
import type { Medium } from "../processes/medium.ts";
import { dice, runSeed } from "../processes/random.ts";
import { bundleWorkers } from "../processes/worker-program.ts";
import { recordingProxy } from "../support/recording-proxy.ts";
import { tempDir } from "../support/temp-dir.ts";
import { contend, type ContentionOptions, describeContention } from "./contention.ts";
import { disturb } from "./disturb.ts";

const HELP = `npm run torture -- contention
  --on directory|s3|both   default both
  --times N                runs on each, one after the other; default 1
  --processes N            default 20
  --increments N           of each process, by update; default 5
  --counters N             records that are incremented; default 1
  --mixed                  also conditional writes and deletions, names that one may take, once
  --kills                  kills and freezes processes, and on S3 breaks the network; purges race
  --compactors N           default 2
  --seconds N              begins runs until so long has passed, instead of --times
  --seed N`;

const OPTIONS = {
  on: { type: "string", default: "both" },
  times: { type: "string", default: "1" },
  processes: { type: "string", default: "20" },
  increments: { type: "string", default: "5" },
  counters: { type: "string", default: "1" },
  compactors: { type: "string", default: "2" },
  seconds: { type: "string" },
  seed: { type: "string" },
  mixed: { type: "boolean", default: false },
  kills: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

/** @returns whether nothing was wrong */
export async function runContention(args: string[], server: () => Disposable): Promise<boolean> {
  const { values } = parseArgs({ args, options: OPTIONS });
  if (values.help) {
    console.log(HELP);
    return true;
  }
  const places = values.on === "both" ? ["directory", "s3"] : [values.on];
  using _server = places.includes("s3") ? server() : undefined;
  const first = values.seed === undefined ? runSeed() : whole("seed", values.seed);
  const times = values.seconds === undefined ? whole("times", values.times) : Infinity;
  const endMs = performance.now() + Number(values.seconds ?? Infinity) * 1_000;
  let wrong = 0;
  for (const place of places) {
    for (let at = 0; at < times && (at === 0 || performance.now() < endMs); at++) {
      const seed = first + at;
      const run = {
        processes: whole("processes", values.processes),
        increments: whole("increments", values.increments),
        counters: whole("counters", values.counters),
        compactors: whole("compactors", values.compactors),
        mixed: values.mixed,
        kills: values.kills,
        seed,
      };
      const report = await runOnce(place, run);
      console.log(`${place} ${at + 1}: ${describeContention(report, run)}`);
      // Nothing is lost where nothing is killed: the sum is what was asked for.
      const isExact = values.kills || report.counted === run.processes * run.increments;
      if (!isExact || report.violations.length > 0) wrong++;
    }
  }
  console.log(wrong === 0 ? "all runs: nothing is wrong" : `${wrong} runs found something wrong`);
  return wrong === 0;
}

type Run = Omit<ContentionOptions, "program" | "location" | "directory">;

async function runOnce(place: string, run: Run): ReturnType<typeof contend> {
  await using medium = await openMedium(place);
  await using journals = await tempDir();
  const isDisturbed = run.kills && place === "s3";
  const endpoint = process.env["OPSLOG_TEST_S3_ENDPOINT"] ?? "";
  await using proxy = isDisturbed ? await recordingProxy(endpoint) : undefined;
  if (proxy !== undefined) disturb(proxy, dice(run.seed));
  const env = proxy === undefined ? {} : { OPSLOG_TEST_S3_ENDPOINT: proxy.endpoint };
  await using program = await bundleWorkers({ env, source: resolve("test/processes/worker.ts") });
  const { location } = medium;
  return await contend({ ...run, program, location, directory: journals.path });
}

async function openMedium(place: string): Promise<Medium> {
  if (place === "directory") return directoryMedium();
  if (place !== "s3") throw new Error(`--on must be directory, s3 or both, found ${place}`);
  // Reads the environment when it is loaded.
  return (await import("../processes/bucket.ts")).bucketMedium();
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new Error(`--${name} must be a positive whole number, found ${text}`);
}
