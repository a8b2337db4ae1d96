/**
 * Runs seeds until one fails; a process of its own, because a mutant may do anything. Its last line
 * is what it found, as JSON.
 */
import { parseArgs } from "node:util";
import { isSchedule, simulate } from "../simulate.ts";
import type { Find } from "./find.ts";

const { values } = parseArgs({
  options: {
    /** As JSON. */
    seeds: { type: "string", default: "[]" },
    /** "uniform" or "PCT"; default: as each seed says. */
    schedule: { type: "string" },
  },
});
const schedule = isSchedule(values.schedule) ? values.schedule : undefined;
const parsed: unknown = JSON.parse(values.seeds);
const seeds = Array.isArray(parsed) ? parsed.map(Number) : [];
let found: Find | undefined;
for (const seed of seeds) {
  const { violations, events } = await simulate(seed, schedule);
  const [violation] = violations;
  if (violation === undefined) continue;
  found = { seed, rule: violation.rule, message: violation.message, events };
  break;
}
console.log(JSON.stringify(found ?? null));
// What a mutant left hanging must not keep the process.
process.exit(0);
