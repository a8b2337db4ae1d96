/** Runs cold starts, one process each, and checks what they answer. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { httpEvent } from "../../test/functions/http-event.ts";
import { expectRecord, idOf, newId, recordOf } from "../s3/records.ts";
import { type Bundle, bundle, type Variant, VARIANTS } from "./variants.ts";

const run = promisify(execFile);
const SAMPLE = fileURLToPath(new URL("sample.mjs", import.meta.url));
const SCRIPT = "test/support/lambda-runtime.sh";
/** The first Node whose compile cache is switched on by a variable. */
const CACHE_SINCE = 22;

export type Op = "read" | "write";
export const OPS = ["read", "write"] as const;

/** Of one process. */
export interface Figures {
  readonly importMs: number;
  /** From before the import to the answer. */
  readonly answerMs: number;
  readonly cpuMs: number;
  readonly rssBytes: number;
}

export interface Node {
  readonly major: number;
  readonly version: string;
  readonly binary: string;
}

export interface Ready extends AsyncDisposable {
  readonly bundles: ReadonlyMap<Variant, Bundle>;
  /** Where the data of a variant are. */
  sample(node: Node, variant: Variant, op: Op, location: string): Promise<Figures>;
}

/** The pinned Node of a major version. */
export async function nodeOf(major: number): Promise<Node> {
  const { stdout } = await run("bash", [SCRIPT, "node", String(major)]);
  const binary = stdout.trim();
  const version = (await run(binary, ["--version"])).stdout.trim();
  return { major, version, binary };
}

export function runsOn({ cached }: Variant, { major }: Node): boolean {
  return cached !== true || major >= CACHE_SINCE;
}

/** Bundles everything. `endpoint` is the S3 server. */
export async function prepare(endpoint: string): Promise<Ready> {
  const directory = await mkdtemp(join(tmpdir(), "opslog-bench-cold-"));
  const bundles = new Map<Variant, Bundle>();
  for (const variant of VARIANTS) bundles.set(variant, await bundle(variant, directory));
  const environment = {
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_REGION: process.env["AWS_REGION"] ?? "",
    AWS_ACCESS_KEY_ID: process.env["AWS_ACCESS_KEY_ID"] ?? "",
    AWS_SECRET_ACCESS_KEY: process.env["AWS_SECRET_ACCESS_KEY"] ?? "",
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true",
  };
  return {
    bundles,
    sample: async (node, variant, op, location) => {
      const path = bundles.get(variant)?.path ?? "";
      const cache = join(directory, `cache-${node.major}`);
      const event = JSON.stringify(eventFor(variant, op));
      const { stdout } = await run(node.binary, [SAMPLE, path, event], {
        env: {
          ...environment,
          OPSLOG_LOCATION: location,
          ...(variant.cached === true ? { NODE_COMPILE_CACHE: cache } : {}),
        },
      });
      const { figures, result }: { figures: Figures; result: unknown } = JSON.parse(stdout);
      check(variant, op, result);
      return figures;
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** In the middle of the store. */
const READ = 500;
const WRITTEN = newId(0, 0);

function eventFor({ http }: Variant, op: Op): unknown {
  const id = op === "read" ? idOf(READ) : WRITTEN;
  if (http !== true) return { op, id, ...(op === "write" ? { value: recordOf(0) } : {}) };
  const target = `/records/${id}`;
  if (op === "read") return httpEvent({ method: "GET", target });
  return httpEvent({ method: "PUT", target, body: JSON.stringify(recordOf(0)) });
}

/** @throws Error for a wrong answer: no figure of it counts */
function check({ name, data, http }: Variant, op: Op, result: unknown): void {
  if (data === "none") return;
  if (http === true) {
    const { statusCode, body }: { statusCode?: number; body?: string } = Object(result);
    if (statusCode !== 200 && statusCode !== 201) {
      throw new Error(`${name}, ${op}: answered ${JSON.stringify(result)}`);
    }
    if (op === "read") expectRecord(idOf(READ), JSON.parse(body ?? ""), READ);
  } else if (op === "read") expectRecord(idOf(READ), result, READ);
}
