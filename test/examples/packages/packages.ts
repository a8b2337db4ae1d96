/**
 * Example: the package index of a Debian machine as a store. Several processes write at once while
 * another compacts; then every record is compared with the source, eagerly and lazily.
 */
import { parseArgs } from "node:util";
import { runChild } from "./child.ts";
import { CHILD_FLAG } from "./child-process.ts";
import { Crew } from "./crew.ts";
import { formatTable, megabytes, seconds } from "./figures.ts";
import { count3 } from "./progress.ts";
import { Run } from "./run.ts";
import { loadSource } from "./source.ts";

const USAGE = `usage: npm run example:packages -- LOCATION [--writers N]

Loads the package index of this machine (apt-cache dumpavail) into the store at LOCATION, with N
processes writing at once (default 4) and one compacting, and compares every record with the source.

LOCATION     a directory (./some/dir), or s3://bucket/prefix; the bucket must exist. Empty, or what
             an earlier run left: that is brought up to date. Other records are never touched.

For S3 the environment says where and who: AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (or
a profile), and AWS_ENDPOINT_URL_S3 for a server that is not AWS.

Exit code: 0 no differences, 1 differences or a failure, 2 wrong usage.
`;
const WRITERS_MAX = 64;
const DIFFERENCES_SHOWN = 20;

interface Command {
  readonly location: string;
  readonly writers: number;
}

/** Undefined when the usage is what is needed. */
function parseCommand(args: string[]): Command | "help" | undefined {
  const options = { writers: { type: "string", default: "4" }, help: { type: "boolean" } } as const;
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    if (values.help === true) return "help";
    const [location, ...rest] = positionals;
    const writers = Number(values.writers);
    const isCount = Number.isInteger(writers) && writers >= 1 && writers <= WRITERS_MAX;
    if (location === undefined || location === "" || rest.length > 0 || !isCount) return undefined;
    return { location, writers };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n`);
    return undefined;
  }
}

/** @returns the exit code */
async function main({ location, writers }: Command): Promise<number> {
  await using crew = new Crew(location);
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.once(signal, () => {
      void crew[Symbol.asyncDispose]().finally(() => process.exit(code));
    });
  }
  const startedMs = performance.now();
  const source = await loadSource();
  const readMs = performance.now() - startedMs;
  const { records, duplicates, jsonBytes, name } = source;
  const { differences, rows } = await new Run({ location, writers, source }, crew).all();
  const table = formatTable([
    ["source", name],
    ["records", `${count3(records.size)}, ${megabytes(jsonBytes)} of JSON`],
    ["duplicate ids", `${count3(duplicates)}${duplicates > 0 ? ", the last one counts" : ""}`],
    ["read the source", seconds(readMs)],
    ...rows,
  ]);
  const shown = differences.slice(0, DIFFERENCES_SHOWN).map((line) => `  ${line}\n`);
  process.stdout.write(`\n${table}\n${count3(differences.length)} differences\n${shown.join("")}`);
  return differences.length === 0 ? 0 : 1;
}

const args = process.argv.slice(2);
if (args[0] === CHILD_FLAG) {
  await runChild(args.slice(1));
} else {
  const command = parseCommand(args);
  if (command === undefined || command === "help") {
    (command === "help" ? process.stdout : process.stderr).write(USAGE);
    process.exitCode = command === "help" ? 0 : 2;
  } else {
    try {
      process.exitCode = await main(command);
    } catch (error) {
      process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    }
  }
}
