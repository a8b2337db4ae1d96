/**
 * Measures this package and the original @backloghq/opslog side by side: every measurement in a
 * process of its own, rounds in alternating order, medians. `npm run bench -- [checkpoint] [write]
 * [stream] [--rounds 3] [--bytes 1073741824] [--updates 2000] [--directory DIR] [--json FILE]`.
 */
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { append } from "../src/core/bulk.ts";
import { liveS3Bucket, liveS3Endpoint } from "../test/support/live-s3.ts";
import { measure } from "./child.ts";
import { type EngineName, ENGINES } from "./engines.ts";
import { medians, type Row, table } from "./figures.ts";
import type { Figures, Task } from "./tasks.ts";

const SIZES = [1_000, 60_000];
const WRITES = 5_000;
const LOGGED = 20_000;
const RECORD_BYTES = 900;
/** Reading never syncs. */
const STREAMED: readonly EngineName[] = ["ours", "original"];
const MODES = ["immediate", "group", "async"] as const;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    bytes: { type: "string", default: String(2 ** 30) },
    updates: { type: "string", default: "2000" },
    directory: { type: "string" },
    json: { type: "string" },
  },
});
const rounds = Number(values.rounds);
const root = await mkdtemp(join(values.directory ?? tmpdir(), "opslog-bench-"));
const say = (text: string): void => void process.stderr.write(`${text}\n`);

const FAILED: Figures = { failed: 1 };

/** Each engine once a round, in alternating order. @param prepare returns the location to work on */
async function compare(
  what: string,
  task: Task,
  prepare: (engine: EngineName, location: string) => Promise<string>,
  engines: readonly EngineName[] = ENGINES,
): Promise<Row[]> {
  const found = new Map<EngineName, Figures[]>(engines.map((engine) => [engine, []]));
  for (let round = 0; round < rounds; round++) {
    for (const engine of round % 2 === 0 ? engines : engines.toReversed()) {
      const scratch = join(root, "scratch");
      await rm(scratch, { recursive: true, force: true });
      say(`${what}: ${engine}, round ${round + 1} of ${rounds}`);
      const location = await prepare(engine, scratch);
      found.get(engine)?.push((await measure({ engine, location, task })) ?? FAILED);
    }
  }
  return [...found].map(([engine, all]) => ({ what, engine, rounds, figures: medians(all) }));
}

async function checkpoint(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const records of SIZES) {
    const filled = join(root, `filled-${records}`);
    for (const engine of ENGINES) {
      const location = join(filled, engine);
      await mkdir(location, { recursive: true });
      const task = { name: "fill", records, recordBytes: RECORD_BYTES } as const;
      await measure({ engine, location, task });
    }
    const updates = Number(values.updates);
    const task = { name: "update", records, recordBytes: RECORD_BYTES, updates } as const;
    const copied = async (engine: EngineName, location: string): Promise<string> => {
      await cp(join(filled, engine), location, { recursive: true });
      return location;
    };
    append(rows, await compare(`${records} records`, task, copied));
    await rm(filled, { recursive: true });
  }
  return [...rows, ...ENGINES.map((engine) => growth(rows, engine))];
}

/** How much more the same costs on the large store. */
function growth(rows: readonly Row[], engine: EngineName): Row {
  const [small, large] = rows.filter((row) => row.engine === engine);
  const figures = Object.fromEntries(
    ["perUpdateMs", "medianMs", "writtenPerUpdateBytes"].map((name) => [
      `${name}Ratio`,
      (large?.figures[name] ?? 0) / (small?.figures[name] ?? 0),
    ]),
  );
  return { what: `${SIZES[1]} / ${SIZES[0]}`, engine, rounds, figures };
}

async function write(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const writeMode of MODES) {
    const task = { name: "write", writeMode, writes: WRITES, recordBytes: RECORD_BYTES } as const;
    append(rows, await compare(writeMode, task, (_, location) => Promise.resolve(location)));
  }
  return rows;
}

async function stream(): Promise<Row[]> {
  const rows: Row[] = [];
  const whole = Number(values.bytes);
  // The original cannot read a snapshot of 512 MB and more, so there is a smaller store as well.
  for (const bytes of [Math.floor(whole / 4), whole]) {
    const task = { name: "grow", bytes, recordBytes: RECORD_BYTES, logged: LOGGED } as const;
    const place = (engine: EngineName): string => join(root, `grown-${engine}`);
    for (const engine of STREAMED) {
      say(`stream: making a store of ${bytes} bytes, ${engine}`);
      await measure({ engine, location: place(engine), task });
    }
    const what = `${Math.round(bytes / 1e6)} MB, directory`;
    const at = (engine: EngineName): Promise<string> => Promise.resolve(place(engine));
    append(rows, await compare(what, { name: "stream" }, at, STREAMED));
    for (const engine of STREAMED) await rm(place(engine), { recursive: true });
    if (liveS3Endpoint !== undefined) rows.push(await streamS3(task));
  }
  return rows;
}

/** Ours only: the original's stream opens a path on the disk. */
async function streamS3(task: Extract<Task, { name: "grow" }>): Promise<Row> {
  await using bucket = await liveS3Bucket();
  const at = { engine: "ours", location: bucket.location() } as const;
  say("stream: making a store on S3");
  await measure({ ...at, task });
  const all: Figures[] = [];
  for (let round = 0; round < rounds; round++) {
    say(`S3: ours, round ${round + 1} of ${rounds}`);
    all.push((await measure({ ...at, task: { name: "stream" } })) ?? FAILED);
  }
  const what = `${Math.round(task.bytes / 1e6)} MB, S3`;
  return { what, engine: "ours", rounds, figures: medians(all) };
}

const SUITES: Readonly<Record<string, { title: string; run: () => Promise<Row[]> }>> = {
  checkpoint: {
    title: `Sustained single updates of ${RECORD_BYTES}-byte records, default checkpoints`,
    run: checkpoint,
  },
  write: { title: `${WRITES} writes one after the other, no checkpoints`, run: write },
  stream: { title: "streamSnapshot, then getWalOps, in a process of its own", run: stream },
};

const results: Record<string, Row[]> = {};
try {
  for (const name of positionals.length === 0 ? Object.keys(SUITES) : positionals) {
    const suite = SUITES[name];
    if (suite === undefined) throw new Error(`no such benchmark: ${name}`);
    results[name] = await suite.run();
    process.stdout.write(`\n${table(suite.title, results[name])}`);
  }
} finally {
  await rm(root, { recursive: true, force: true });
}
const machine = { node: process.version, cpu: cpus()[0]?.model, cpus: cpus().length };
if (values.json !== undefined) {
  await writeFile(values.json, `${JSON.stringify({ machine, results }, null, 2)}\n`);
}
