/**
 * How compaction behaves over days and sizes that cannot be run: `npm run model:compaction --
 * [--results FILE] [--plots DIR] [--days 14]`. Without a file the tables go to the standard output.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import {
  amplificationPlot,
  backlogPlot,
  capacityPlot,
  capacityTable,
  outcomeTable,
  resultsMarkdown,
} from "./report.ts";
import { type Capacity, capacityOf, scenarioOf, SCENARIOS, SEED, WORKERS } from "./scenarios.ts";
import { type Outcome, type Scenario, simulate } from "./simulate.ts";

const { values } = parseArgs({
  options: {
    results: { type: "string" },
    plots: { type: "string" },
    days: { type: "string", default: "14" },
  },
});
const daysMax = Number(values.days);
if (!(daysMax > 0)) throw new Error(`--days: expected a positive number, found ${values.days}`);
const say = (text: string): void => void process.stderr.write(`${text}\n`);

function run(scenario: Scenario): Outcome {
  const outcome = simulate({ ...scenario, days: Math.min(scenario.days, daysMax) });
  say(outcomeTable([outcome]).split("\n")[2] ?? "");
  return outcome;
}

function search(flushKb: number, client: Capacity["client"], workers: number): Capacity {
  const capacity = capacityOf(flushKb, client, workers, Math.min(0.1, daysMax));
  say(capacityTable([capacity]).split("\n")[2] ?? "");
  return capacity;
}

async function write(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  say(`wrote ${path}`);
}

say(`seed ${SEED}`);
const outcomes = SCENARIOS.map(run);
const capacities = [
  ...WORKERS.map((workers) => search(1, "light", workers)),
  search(1, "sdk", 1),
  search(1, "sdk", 8),
  search(10, "light", 1),
  search(10, "light", 8),
];
const [light] = capacities;
const around = [light?.keptUp ?? 1, light?.fellBehind ?? 1].map((rate) =>
  run(scenarioOf({ rate, flushKb: 1, storeGb: 10, minutes: 5, days: 0.5 })),
);
const growing = outcomes.filter(({ scenario }) => scenario.capacityBytes === Infinity);
const plots = {
  "backlog.svg": backlogPlot(around),
  "amplification.svg": amplificationPlot(growing),
  "capacity.svg": capacityPlot(capacities),
};
const directory = values.plots;
if (directory !== undefined)
  for (const [name, svg] of Object.entries(plots)) await write(join(directory, name), svg);
const from = values.results === undefined ? "." : dirname(values.results);
const addresses =
  directory === undefined
    ? []
    : Object.keys(plots).map((name) => relative(from, join(directory, name)));
const setting = {
  date: new Date().toISOString().slice(0, 10),
  command: ["npm run model:compaction --", ...process.argv.slice(2)].join(" "),
  seed: SEED,
};
const text = resultsMarkdown(
  setting,
  { outcomes: outcomeTable(outcomes), capacities: capacityTable(capacities) },
  addresses,
);
if (values.results === undefined) process.stdout.write(text);
else await write(values.results, text);
