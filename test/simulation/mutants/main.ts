/**
 * `npm run simulate:mutants -- [--only TEXT] [--seeds N] [--first S] [--schedule uniform|PCT] [--jobs N] [--pin]`:
 * switches each mechanism off and looks for what notices: its pinned seed, seeds 1 to N (default
 * 300), or its named test. With `--first` or `--schedule` its pinned seed is not tried, but the seeds
 * from S on, all of them under that schedule.
 * Ends with 1 when a mutant is not found. `--pin` writes what was found to pins.json.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { failsTest, hunt } from "./find.ts";
import type { Mutant } from "./mutant.ts";
import { MUTANTS } from "./mutants.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    seeds: { type: "string", default: "300" },
    first: { type: "string" },
    schedule: { type: "string" },
    jobs: { type: "string", default: String(availableParallelism()) },
    pin: { type: "boolean", default: false },
  },
});
/** As npm runs it: in the package's directory. */
const root = pathToFileURL(`${process.cwd()}/`);
const pinsFile = fileURLToPath(new URL("test/simulation/mutants/pins.json", root));
const pins = new Map(Object.entries<unknown>(JSON.parse(readFileSync(pinsFile, "utf8"))));
const count = Number(values.seeds);

/** What finds it; undefined when nothing does. */
async function find(mutant: Mutant): Promise<string | undefined> {
  const { test, name } = mutant;
  if (test !== undefined) {
    const fails = await failsTest(root, mutant, test);
    if (fails === null) throw new Error(`no test "${test.name}" in test/${test.file}`);
    return fails ? `test/${test.file}: "${test.name}"` : undefined;
  }
  const pinned = pins.get(name);
  const { schedule, first = "1" } = values;
  const isFresh = schedule !== undefined || values.first !== undefined;
  const known = typeof pinned === "number" && !isFresh ? [pinned] : [];
  const seeds = [...known, ...Array.from({ length: count }, (_, at) => at + Number(first))];
  const found = await hunt(root, mutant, seeds, { schedule });
  if (found === undefined) return undefined;
  if (values.pin && pinned !== found.seed) {
    pins.set(name, found.seed);
    const sorted = [...pins].toSorted(([a], [b]) => (a < b ? -1 : 1));
    writeFileSync(pinsFile, `${JSON.stringify(Object.fromEntries(sorted), undefined, 2)}\n`);
  }
  return `seed ${found.seed}: ${found.rule}`;
}

const queue = MUTANTS.filter(({ name }) => name.includes(values.only));
const missed: string[] = [];

async function work(): Promise<void> {
  for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
    const { name, breaks } = mutant;
    const found = await find(mutant).catch((error: unknown) => {
      process.exitCode = 1;
      return `ERROR ${String(error)}`;
    });
    if (found === undefined) missed.push(name);
    console.log(`${name} | ${breaks.join(", ")} | ${found ?? "NOT FOUND"}`);
  }
}

console.log("mutant | invariant, steps | found by");
await Promise.all(Array.from({ length: Math.max(1, Number(values.jobs)) }, work));
if (missed.length > 0) process.exitCode = 1;
console.log(missed.length === 0 ? "every mutant was found" : `not found: ${missed.join("; ")}`);
