/** The library at work, and each of its requests held against the policies of the construct. */
import { setTimeout } from "node:timers/promises";
import { Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Function, Runtime } from "aws-cdk-lib/aws-lambda";
import { MemoryBackend, type StorageBackend, Store, StoreNotFoundError } from "opslog-serverless";
import { createCompactor, startCompactor, withStore } from "opslog-serverless/lambda";
import { beforeAll, describe, expect, test } from "vitest";
import type { OpslogStore } from "../../infra/opslog-store.ts";
import { claimPath, txnPath } from "../../src/format/paths.ts";
import { claimBytes, idOf, NO_RECENT, nonce } from "../support/claims.ts";
import { lambdaContext } from "../lambda/support.ts";
import {
  type AwsRequest,
  bucketStatements,
  isAllowed,
  matches,
  roleStatements,
  type Statement,
} from "./policy.ts";
import { recorded } from "./recorded.ts";
import { CODE, makeStore, ofType, resourcesOf, SYNTH_MS } from "./support.ts";

const PREFIX = "team-a/orders";
const LOCATION = "s3://bucket/team-a/orders";
const GRANTS = {
  reader: (store: OpslogStore, role: Role) => store.grantRead(role),
  handler: (store: OpslogStore, role: Role) => store.grantReadWrite(role),
  maintainer: (store: OpslogStore, role: Role) => store.grantMaintain(role),
};
type Who = keyof typeof GRANTS | "compactor" | "starter";

const statements = new Map<Who, Statement[]>();
let ofBucket: Statement[];
let bucketArn: string;

beforeAll(() => {
  const made = makeStore({ prefix: PREFIX });
  const assumedBy = new ServicePrincipal("lambda.amazonaws.com");
  for (const [name, grant] of Object.entries(GRANTS)) {
    grant(made.store, new Role(made.stack, name, { assumedBy }));
  }
  const code = { code: CODE, handler: "index.handler", runtime: Runtime.NODEJS_22_X };
  const starter = new Function(made.stack, "starter", code);
  made.store.grantReadWrite(starter);
  made.store.grantStartCompactor(starter);
  const resources = resourcesOf(made);
  const roles = ofType(resources, "AWS::IAM::Role").map(([id]) => id);
  for (const who of ["reader", "handler", "maintainer", "compactor", "starter"] as const) {
    const name = who === "compactor" ? "CompactorCompactRole" : who;
    const role = roles.find((id) => id.includes(name));
    const all = roleStatements(resources, role ?? "");
    statements.set(
      who,
      all.filter(({ Action }) => [Action].flat()[0]?.startsWith("s3:")),
    );
  }
  ofBucket = bucketStatements(resources);
  [bucketArn = ""] = ofType(resources, "AWS::S3::Bucket").map(([id]) => `${id}.Arn`);
}, SYNTH_MS);

function ask(who: Who, request: AwsRequest): boolean {
  return isAllowed([...(statements.get(who) ?? []), ...ofBucket], request);
}

/** One line for each request that the policies refuse. */
function refused(who: Who, requests: readonly AwsRequest[]): string[] {
  const lines = requests
    .filter((request) => !ask(who, request))
    .map(({ action, resource, context }) => `${action} ${resource} ${JSON.stringify(context)}`);
  return [...new Set(lines)];
}

/** What is granted (action, resource, prefix of a listing), and no request used. */
function unused(who: Who, requests: readonly AwsRequest[]): string[] {
  return (statements.get(who) ?? []).flatMap(oneByOne).flatMap((statement) => {
    const used = requests.some((request) => matches(statement, request));
    const { Action, Resource, Condition } = statement;
    const parts = [Action, Resource, ...(Condition ? [JSON.stringify(Condition)] : [])];
    return used ? [] : [parts.join(" ")];
  });
}

function oneByOne(statement: Statement): Statement[] {
  const prefixes = statement.Condition?.["StringLikeIfExists"]?.["s3:prefix"];
  if (prefixes === undefined) {
    return [statement.Resource].flat().map((Resource) => ({ ...statement, Resource }));
  }
  const conditions = [prefixes].flat().map((pattern) => ({ StringLike: { "s3:prefix": pattern } }));
  return conditions.map((Condition) => ({ ...statement, Condition }));
}

const settings = { gcGraceMs: 0, segmentGraceMs: 0, guardGraceMs: 0 };

async function write(backend: StorageBackend, count: number): Promise<void> {
  const handler = withStore<{ n: number }, number, number>(
    { location: LOCATION, backend, ...settings },
    async (n, _context, store) => {
      await store.set(`id-${n}`, { n });
      await store.update(`id-${n}`, (now) => ({ n: (now?.n ?? 0) + 1 }));
      await store.batch(() => {
        void store.set("a", { n });
        void store.set("b", { n });
      });
      await store.set("gone", { n });
      await store.delete("gone");
      await store.undo();
      const seen = [];
      for await (const [id] of store.scan({ prefix: "id-" })) seen.push(id);
      return seen.length;
    },
  );
  for (let n = 0; n < count; n++) {
    expect(await handler(n, lambdaContext(`request-${n}`))).toBeGreaterThan(0);
  }
}

/** Of a transaction that nobody decides, so that a compaction does. */
async function leaveIntent(memory: MemoryBackend): Promise<void> {
  const place = { lane: 0x3f, n: 1 };
  const txn = txnPath({ t: 1_795_356_093, rand: "a".repeat(16) });
  const head = { ...place, nonce: nonce(), recent: NO_RECENT(1), txn, reads: [] };
  const bytes = claimBytes({ kind: "intent", ...head, writes: [idOf(place.lane)] });
  await memory.put(claimPath(place), bytes, { ifAbsent: true });
  await setTimeout(5);
}

/** As a worker, which takes a lease of its own. */
async function workOnShare(backend: StorageBackend): Promise<void> {
  const log = (): void => {};
  const compact = createCompactor({
    location: LOCATION,
    metrics: false,
    backend,
    log,
    ...settings,
  });
  const opslogTask = { location: LOCATION, kind: "log", index: 0, of: 1 };
  expect(await compact({ opslogTask }, lambdaContext())).toMatchObject({ outcome: "published" });
}

describe("each request is allowed, and each permission is used, of", () => {
  test("a handler of withStore and the compactor", async () => {
    const memory = new MemoryBackend();
    const handler = recorded(memory, bucketArn, PREFIX);
    const scheduled = recorded(memory, bucketArn, PREFIX);
    const log = (): void => {};
    const compactOnce = createCompactor({
      location: LOCATION,
      metrics: false,
      backend: scheduled.backend,
      log,
      ...settings,
    });
    for (let round = 0; round < 4; round++) {
      await write(handler.backend, 2);
      expect(await compactOnce({}, lambdaContext())).toMatchObject({ outcome: "published" });
    }
    await write(handler.backend, 2);
    await workOnShare(scheduled.backend);
    // What an archive leaves that was cut off before it was published.
    await memory.initialize(LOCATION, { readOnly: false });
    await memory.put("archive/archive-2026-Q4-1-0123456789abcdef.jsonl", Buffer.from(""), "none");
    await write(handler.backend, 1);
    await leaveIntent(memory);
    await compactOnce({}, lambdaContext());
    await write(handler.backend, 1);

    expect(refused("handler", handler.requests)).toEqual([]);
    expect(refused("compactor", scheduled.requests)).toEqual([]);
    // An upload in parts begins at 8 MiB.
    expect(unused("handler", handler.requests)).toEqual([]);
    expect(unused("compactor", scheduled.requests)).toEqual([
      `s3:AbortMultipartUpload ${bucketArn}/${PREFIX}/snapshots/*`,
    ]);
    expect(refused("reader", handler.requests).length).toBeGreaterThan(0);
    expect(refused("handler", scheduled.requests).length).toBeGreaterThan(0);
  });

  test("a handler that starts the compactor", async () => {
    const starter = recorded(new MemoryBackend(), bucketArn, PREFIX);
    const { backend } = starter;
    let started = 0;
    const onBacklog = startCompactor({ backend, start: () => void started++ });
    const options = { location: LOCATION, backend, backlogSegments: 1, onBacklog };
    const handler = withStore<number>(options, async (_event, _context, store) => {
      await store.set("a", 1);
      await store.set("b", 1);
    });
    for (let n = 0; n < 2; n++) await handler({}, lambdaContext(`request-${n}`));
    expect(started).toBe(1);
    expect(refused("starter", starter.requests)).toEqual([]);
    expect(unused("starter", starter.requests)).toEqual([]);
    expect(refused("handler", starter.requests)).toEqual([
      expect.stringMatching(/^s3:PutObject \S+\/compact\.start /),
    ]);
  });

  test("a reader, and a single writer that compacts and archives", async () => {
    const memory = new MemoryBackend();
    const writer = recorded(memory, bucketArn, PREFIX);
    const reader = recorded(memory, bucketArn, PREFIX);
    const early = Store.open(LOCATION, { backend: reader.backend, readOnly: true });
    await expect(early, "listed, and found new").rejects.toThrow(StoreNotFoundError);
    const store = await Store.open<{ n: number }>(LOCATION, {
      backend: writer.backend,
      ...settings,
    });
    for (let n = 0; n < 6; n++) {
      await store.set(`id-${n}`, { n });
      await store.compact();
    }
    expect(await store.archive(({ n }) => n === 0, "2026-Q4")).toBe(1);
    const copy = await Store.open<{ n: number }>(LOCATION, {
      backend: reader.backend,
      readOnly: true,
    });
    await store.set("later", { n: 9 });
    await copy.refresh();
    expect(copy.get("later")).toEqual({ n: 9 });
    expect(await copy.loadArchive("2026-Q4")).toBeDefined();
    await copy.close();
    await memory.put("archive/archive-2026-Q4-1-0123456789abcdef.jsonl", Buffer.from(""), "none");
    await workOnShare(writer.backend);
    await store.compact();
    const start = (): void => {};
    await startCompactor({ backend: writer.backend, start })({ location: LOCATION, segments: 9 });
    await store.close();

    expect(refused("reader", reader.requests)).toEqual([]);
    expect(refused("maintainer", writer.requests)).toEqual([]);
    expect(unused("reader", reader.requests)).toEqual([]);
    expect(unused("maintainer", writer.requests)).toEqual([
      `s3:AbortMultipartUpload ${bucketArn}/${PREFIX}/archive/*`,
      `s3:AbortMultipartUpload ${bucketArn}/${PREFIX}/snapshots/*`,
    ]);
    expect(refused("handler", writer.requests).length).toBeGreaterThan(0);
  });
});

describe("the policies refuse", () => {
  const secure = { "aws:SecureTransport": "true" };
  const put = (path: string, context: Record<string, string> = {}): AwsRequest => ({
    action: "s3:PutObject",
    resource: `${bucketArn}/${path}`,
    context: { ...secure, ...context },
  });

  test("a PUT of the manifest without a precondition, to everybody", () => {
    const manifest = `${PREFIX}/manifest.json`;
    for (const who of ["compactor", "maintainer"] as const) {
      expect(ask(who, put(manifest))).toBe(false);
      expect(ask(who, put(manifest, { "s3:if-none-match": "*" }))).toBe(true);
      expect(ask(who, put(manifest, { "s3:if-match": '"etag"' }))).toBe(true);
    }
    // Not refused by the bucket: other objects have no need of it.
    expect(ask("compactor", put(`${PREFIX}/compact.lease`))).toBe(true);
    expect(ask("handler", put(manifest, { "s3:if-none-match": "*" }))).toBe(false);
  });

  test("everything without TLS", () => {
    const insecure = { "aws:SecureTransport": "false" };
    expect(ask("handler", put(`${PREFIX}/ops/x`, secure))).toBe(true);
    expect(ask("handler", put(`${PREFIX}/ops/x`, insecure))).toBe(false);
  });

  test("whatever lies beside the store, and deletion of its roots", () => {
    for (const who of ["reader", "handler", "compactor", "maintainer"] as const) {
      for (const path of ["x", "team-a/x", `${PREFIX}-2/ops/x`, `${PREFIX}2/manifest.json`]) {
        for (const action of ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]) {
          const request = { ...put(path, { "s3:if-none-match": "*" }), action };
          expect(ask(who, request), `${who} ${action} ${path}`).toBe(false);
        }
      }
      for (const path of ["manifest.json", "compact.lease", "blob"]) {
        const request = { ...put(`${PREFIX}/${path}`), action: "s3:DeleteObject" };
        expect(ask(who, request), `${who} deletes ${path}`).toBe(false);
      }
      for (const prefix of ["", "team-a/", `${PREFIX}-2/ops/`, PREFIX]) {
        const context = { ...secure, "s3:prefix": prefix };
        const request = { action: "s3:ListBucket", resource: bucketArn, context };
        expect(ask(who, request), `${who} lists '${prefix}'`).toBe(false);
      }
    }
  });
});
