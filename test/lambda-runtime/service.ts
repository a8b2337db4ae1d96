/** The records service in environments of Lambda, and what it has acknowledged. */
import { join } from "node:path";
import { build } from "esbuild";
import { Store } from "opslog-serverless";
import { settings } from "../../esbuild.settings.mjs";
import { httpEvent, projectDirectory } from "../functions/support.ts";
import { findViolations, type JournaledCall, tagOf } from "../processes/journal.ts";
import { type LiveBucket, liveS3Bucket, liveS3Endpoint } from "../support/live-s3.ts";
import { Environment, type FunctionSettings, type NodeMajor, type Outcome } from "./environment.ts";

export type Client = "sdk" | "light";
export interface Variant {
  readonly node: NodeMajor;
  readonly client: Client;
}

/** Bundles as they are deployed; of the light client by another name of one import. */
export async function bundleFunctions(directory: string): Promise<void> {
  const light = { "opslog-serverless/lambda": "opslog-serverless/lambda/light" };
  for (const client of ["sdk", "light"] as const) {
    await build({
      ...settings,
      absWorkingDir: projectDirectory,
      entryPoints: [
        "functions/records.ts",
        "functions/compact.ts",
        "test/lambda-runtime/tasks.ts",
      ].map((path) => ({ in: path, out: path.replace(/^.*\/(\w+)\.ts$/, "$1") })),
      outdir: join(directory, client),
      ...(client === "light" ? { alias: light } : {}),
    });
  }
}

interface Open extends Pick<FunctionSettings, "concurrency"> {
  /** In place of the server. */
  readonly endpoint?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export class Service implements AsyncDisposable {
  readonly location: string;
  readonly #bucket: LiveBucket;
  readonly #bundles: string;
  readonly #variant: Variant;
  readonly #calls: JournaledCall[] = [];
  #writes = 0;
  readonly #opened: Environment[] = [];

  private constructor(bucket: LiveBucket, bundles: string, variant: Variant) {
    this.#bucket = bucket;
    this.location = bucket.location();
    this.#bundles = bundles;
    this.#variant = variant;
  }

  static async start(bundles: string, variant: Variant): Promise<Service> {
    return new Service(await liveS3Bucket(), bundles, variant);
  }

  async environment(
    name: "records" | "compact" | "tasks" = "records",
    { endpoint = liveS3Endpoint ?? "", env = {}, ...rest }: Open = {},
  ): Promise<Environment> {
    const { node, client } = this.#variant;
    const credentials = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"];
    const environment = await Environment.open({
      node,
      directory: join(this.#bundles, client),
      handler: `${name}.handler`,
      env: {
        ...Object.fromEntries(credentials.map((key) => [key, process.env[key] ?? ""])),
        AWS_ENDPOINT_URL_S3: endpoint,
        OPSLOG_LOCATION: this.location,
        ...env,
      },
      ...rest,
    });
    this.#opened.push(environment);
    return environment;
  }

  /** How many calls had which outcome. */
  count(outcome: JournaledCall["outcome"]): number {
    return this.#calls.filter((call) => call.outcome === outcome).length;
  }

  /** The tag of the next write. What becomes of it must be noted. */
  nextTag(): string {
    return tagOf(1, ++this.#writes);
  }

  note(tag: string, op: "set" | "delete", id: string, outcome: JournaledCall["outcome"]): void {
    const n = Number(tag.split(".")[1]);
    this.#calls.push({ incarnation: 1, n, operations: [{ id, op }], outcome });
  }

  async put(environment: Environment, id: string, timeoutMs?: number): Promise<Outcome> {
    return this.#write(environment, "set", id, timeoutMs);
  }

  async delete(environment: Environment, id: string, timeoutMs?: number): Promise<Outcome> {
    return this.#write(environment, "delete", id, timeoutMs);
  }

  /** What a reader of its own finds is what was acknowledged. */
  async violations(): Promise<string[]> {
    await using store = await Store.open<{ tag: string }>(this.location, {
      backend: this.#bucket.backend(),
      readOnly: true,
    });
    const shown = new Map(store.entries().map(([id, { tag }]) => [id, tag]));
    return findViolations(this.#calls, shown, { mayLandLate: false });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const environment of this.#opened) await environment[Symbol.asyncDispose]();
    await this.#bucket[Symbol.asyncDispose]();
  }

  async #write(
    environment: Environment,
    op: "set" | "delete",
    id: string,
    timeoutMs?: number,
  ): Promise<Outcome> {
    const tag = this.nextTag();
    const target = `/records/${id}`;
    const event =
      op === "delete"
        ? httpEvent({ method: "DELETE", target })
        : httpEvent({ method: "PUT", target, body: JSON.stringify({ tag }) });
    const outcome = await environment.invoke(event, timeoutMs);
    this.note(tag, op, id, judge(outcome));
    return outcome;
  }
}

/** The status of an answer over HTTP; undefined when there is none. */
export function statusOf(outcome: Outcome): number | undefined {
  if (outcome.kind !== "result") return undefined;
  const { value } = outcome;
  const isAnswer = typeof value === "object" && value !== null && "statusCode" in value;
  return isAnswer && typeof value.statusCode === "number" ? value.statusCode : undefined;
}

/** 503 says that nothing was written. */
function judge(outcome: Outcome): JournaledCall["outcome"] {
  const status = statusOf(outcome);
  if (status === 200 || status === 201 || status === 204) return "acknowledged";
  return status === 404 || status === 412 || status === 503 ? "refused" : "unknown";
}
