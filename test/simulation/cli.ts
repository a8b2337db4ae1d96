/**
 * `npm run simulate -- --seeds N [--seed S] [--seconds T]`: N simulations from seed S on (default 1),
 * fewer when the time is up first.
 */
import { parseArgs } from "node:util";
import { simulate } from "./simulate.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    seconds: { type: "string", default: "Infinity" },
    trace: { type: "string", default: "60" },
  },
});
const [count, first] = [Number(values.seeds), Number(values.seed)];
const totals: Record<string, number> = { events: 0 };
const failed: number[] = [];
const startedMs = performance.now();
let done = 0;
for (let seed = first; seed < first + count; seed++) {
  if (performance.now() - startedMs > Number(values.seconds) * 1000) break;
  done++;
  const result = await simulate(seed);
  totals["events"] = (totals["events"] ?? 0) + result.events;
  for (const [name, n] of Object.entries(result.counts)) totals[name] = (totals[name] ?? 0) + n;
  const [violation] = result.violations;
  if (violation === undefined) continue;
  failed.push(seed);
  console.log(`seed ${seed}: ${violation.rule}: ${violation.message}`);
  const lines = Number(values.trace);
  if (lines > 0) console.log(result.trace.slice(-lines).join("\n"));
}
const seconds = (performance.now() - startedMs) / 1000;
const summary = Object.entries(totals).map(([name, n]) => `${name} ${n}`);
console.log(`${done} seeds in ${seconds.toFixed(1)} s: ${summary.join(", ")}`);
console.log(failed.length === 0 ? "no violation" : `failed seeds: ${failed.join(" ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
