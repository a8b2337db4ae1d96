/** How a mutant is found: by seeds in a child process, or by a named test over changed sources. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildHunt } from "./build.ts";
import type { KillingTest, Mutant } from "./mutant.ts";

/** What ended a hunt. */
export interface Find {
  readonly seed: number;
  readonly rule: string;
  readonly message: string;
  readonly events: number;
}

/** A run of the simulation takes well below a second; a mutant may never end. */
const HUNT_MS_MAX = 20 * 60_000;
const TEST_MS_MAX = 180_000;

export interface Hunting {
  readonly limitMs?: number;
  /** "uniform" or "PCT". Default: as each seed says. */
  readonly schedule?: string | undefined;
}

/**
 * Runs the seeds in their order until one fails.
 * @returns undefined when none does
 * @throws Error when the mutant cannot be built, or its process dies or does not end in time
 */
export async function hunt(
  root: URL,
  mutant: Mutant | undefined,
  seeds: readonly number[],
  { limitMs = HUNT_MS_MAX, schedule }: Hunting = {},
): Promise<Find | undefined> {
  const directory = await mkdtemp(join(tmpdir(), "opslog-mutant-"));
  try {
    const outfile = join(directory, "hunt.mjs");
    await buildHunt(root, mutant, outfile);
    const chosen = schedule === undefined ? [] : ["--schedule", schedule];
    const args = [outfile, "--seeds", JSON.stringify(seeds), ...chosen];
    const { stdout } = await run(process.execPath, args, { timeout: limitMs });
    return parseFind(stdout.trim().split("\n").at(-1) ?? "");
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Whether the named tests fail over the changed sources; null when there is no such test. */
export async function failsTest(
  root: URL,
  mutant: Mutant,
  { file, name }: KillingTest,
): Promise<boolean | null> {
  const directory = await mkdtemp(join(tmpdir(), "opslog-mutant-"));
  try {
    const report = join(directory, "report.json");
    const config = fileURLToPath(new URL("test/simulation/mutants/vitest.config.ts", root));
    const vitest = fileURLToPath(new URL("node_modules/vitest/vitest.mjs", root));
    const reporters = ["--reporter", "json", "--outputFile", report];
    const args = [vitest, "run", "--config", config, ...reporters, "-t", name, `test/${file}`];
    const env = { ...process.env, OPSLOG_MUTANT: mutant.name };
    // It ends with an error when a test fails: the report tells what happened.
    await run(process.execPath, args, { timeout: TEST_MS_MAX, env }).catch(() => undefined);
    return parseReport(await readFile(report, "utf8"));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function run(
  command: string,
  args: readonly string[],
  options: { readonly timeout: number; readonly env?: NodeJS.ProcessEnv },
): Promise<{ readonly stdout: string }> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { ...options, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (error === null) resolve({ stdout });
      else reject(new Error(`${command}: ${stderr.slice(-2_000)}`, { cause: error }));
    });
  });
}

function parseFind(line: string): Find | undefined {
  const found: unknown = JSON.parse(line);
  if (typeof found !== "object" || found === null) return undefined;
  const value = (name: string): unknown => Reflect.get(found, name);
  return {
    seed: Number(value("seed")),
    rule: String(value("rule")),
    message: String(value("message")),
    events: Number(value("events")),
  };
}

function parseReport(text: string): boolean | null {
  const report: unknown = JSON.parse(text);
  const count = (name: string): number =>
    typeof report === "object" && report !== null ? Number(Reflect.get(report, name)) : 0;
  const [failed, passed] = [count("numFailedTests"), count("numPassedTests")];
  return failed + passed === 0 ? null : failed > 0;
}
