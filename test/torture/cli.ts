/**
 * npm run torture -- contention [--help]: processes that change the same records, see contention-cli.ts.
 * npm run torture -- [--seconds 60] [--writers 24] [--compactors 3] [--frozen-seconds 0] [--seed N]
 * With `--frozen-seconds` one of the compactors is stopped for so long in each of its lives.
 * Uses the server of OPSLOG_TEST_S3_ENDPOINT, or starts a Ceph RGW of its own and stops it again.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { runSeed } from "../processes/random.ts";

const SERVER = resolve("test/support/ceph-rgw.sh");
const [mode, ...rest] = process.argv.slice(2);
const isContention = mode === "contention";
const { values } = parseArgs({
  args: isContention ? [] : process.argv.slice(2),
  options: {
    seconds: { type: "string", default: "60" },
    writers: { type: "string", default: "24" },
    compactors: { type: "string", default: "3" },
    "frozen-seconds": { type: "string" },
    seed: { type: "string", default: String(runSeed()) },
  },
});

function positive(name: "seconds" | "writers" | "compactors" | "frozen-seconds" | "seed"): number {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new Error(`--${name} must be a positive whole number, found ${values[name]}`);
}

/** Of the environment, or one that is started and whose environment variables become ours. */
function server(): Disposable {
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] = "true";
  return process.env["OPSLOG_TEST_S3_ENDPOINT"]
    ? { [Symbol.dispose]: () => undefined }
    : startServer();
}

function startServer(): Disposable {
  const directory = mkdtempSync(join(tmpdir(), "opslog-torture-"));
  const stop = (): void => {
    execFileSync("bash", [SERVER, "stop", directory], { stdio: "inherit" });
    rmSync(directory, { recursive: true, force: true });
  };
  console.log("OPSLOG_TEST_S3_ENDPOINT is not set: starting a Ceph RGW for this run");
  try {
    const printed = execFileSync("bash", [SERVER, "start", directory], { encoding: "utf8" });
    for (const line of printed.trim().split("\n")) {
      const equals = line.indexOf("=");
      process.env[line.slice(0, equals)] = line.slice(equals + 1);
    }
  } catch (cause) {
    stop();
    throw new Error(
      "No S3 server. Set OPSLOG_TEST_S3_ENDPOINT, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, or install one: bash test/support/ceph-rgw.sh install",
      { cause },
    );
  }
  return { [Symbol.dispose]: stop };
}

async function main(): Promise<boolean> {
  if (isContention) {
    const { runContention } = await import("./contention-cli.ts");
    return runContention(rest, server);
  }
  const asked = {
    seconds: positive("seconds"),
    writers: positive("writers"),
    compactors: positive("compactors"),
    frozenMs:
      values["frozen-seconds"] === undefined ? undefined : positive("frozen-seconds") * 1_000,
    seed: positive("seed"),
  };
  using _server = server();
  // Reads the environment when it is loaded.
  const { torture, describeReport, passed } = await import("./torture.ts");
  const endpoint = process.env["OPSLOG_TEST_S3_ENDPOINT"] ?? "";
  const options = { ...asked, endpoint, workerSource: resolve("test/processes/worker.ts") };
  console.log(`seed ${asked.seed}: ${asked.seconds} s with ${asked.writers} writers`);
  const report = await torture(options);
  console.log(describeReport(report, options));
  return passed(report);
}

process.exitCode = (await main()) ? 0 : 1;
