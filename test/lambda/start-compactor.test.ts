/** Starting the compactor out of turn: how often, what is sent, and what it costs. */
import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import { type Backlog, type Cost, MemoryBackend, Store } from "opslog-serverless";
import { startCompactor, withStore } from "opslog-serverless/lambda/light";
import { afterEach, describe, expect, test, vi } from "vitest";
import { COMPACT_LEASE_PATH } from "../../src/format/paths.ts";
import { lightAccess } from "../../src/lambda/light-access.ts";
import { makeStartCompactor } from "../../src/lambda/compactor-starter.ts";
import { Lease } from "../../src/storage/lease.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import { put } from "./compactor-support.ts";
import { lambdaEndpoint } from "./lambda-endpoint.ts";
import { lambdaContext, rejection } from "./support.ts";

const BACKLOG: Backlog = { location: "s3://bucket/store", segments: 1_001 };
const ARN = "arn:aws:lambda:eu-central-1:123456789012:function:compactor";

afterEach(() => vi.unstubAllEnvs());

/** What the signer of the AWS SDK wants of a hash. */
class Sha256 {
  readonly #hash: Hash | Hmac;

  constructor(secret?: unknown) {
    const key = typeof secret === "string" || secret instanceof Uint8Array ? secret : undefined;
    this.#hash = key === undefined ? createHash("sha256") : createHmac("sha256", key);
  }

  update(part: unknown): void {
    if (typeof part === "string" || part instanceof Uint8Array) this.#hash.update(part);
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
}

describe("many processes that see the same backlog", () => {
  /** Processes over one medium, each with a starter of its own, and how often they started it. */
  function processes(count: number) {
    const runtime = manualRuntime();
    const backend = new MemoryBackend({ runtime });
    const started: Backlog[] = [];
    const make = makeStartCompactor(lightAccess(), runtime);
    const start = (backlog: Backlog): void => void started.push(backlog);
    const all = Array.from({ length: count }, () => make({ backend, start }));
    const see = (): Promise<unknown> => Promise.all(all.map((onBacklog) => onBacklog(BACKLOG)));
    return { runtime, backend, started, see, make };
  }

  test("start it once, and again only after the interval", async () => {
    const { runtime, backend, started, see } = processes(300);
    const calls = { get: 0, put: 0 };
    for (const name of ["get", "put"] as const) {
      const call = backend[name].bind(backend) as (...args: unknown[]) => unknown;
      Object.assign(backend, { [name]: (...args: unknown[]) => (calls[name]++, call(...args)) });
    }
    await see();
    expect(started).toEqual([BACKLOG]);
    // The object of the lease, and the one that they compete for: a thirtieth of a cent for all.
    expect(calls).toEqual({ get: 600, put: 300 });
    await see();
    await runtime.advance(14_000);
    await see();
    expect(started).toHaveLength(1);
    expect(calls.get).toBe(600);
    for (let n = 2; n <= 5; n++) {
      await runtime.advance(16_000);
      await see();
      expect(started).toHaveLength(n);
    }
  });

  test("do not start it while a compactor is at work", async () => {
    const { runtime, backend, started, see } = processes(3);
    await backend.initialize(BACKLOG.location, { readOnly: false });
    const lease = await Lease.take(backend, runtime, { path: COMPACT_LEASE_PATH, ttlMs: 60_000 });
    await see();
    expect(started).toEqual([]);
    await lease?.release();
    await runtime.advance(16_000);
    await see();
    expect(started).toHaveLength(1);
  });

  test("try again after a failure, when the interval has passed", async () => {
    const { runtime, backend, make } = processes(0);
    let failures = 1;
    const start = async (): Promise<void> => {
      if (failures-- > 0) throw new Error("throttled");
    };
    const [one, other] = [make({ backend, start }), make({ backend, start })];
    expect(String(await rejection(one(BACKLOG)))).toMatch(/throttled/);
    await other(BACKLOG);
    expect(failures).toBe(0);
    await runtime.advance(16_000);
    await other(BACKLOG);
    expect(failures).toBe(-1);
  });

  test("of two stores start both", async () => {
    const { started, make, runtime } = processes(0);
    const backends = new Map<string, MemoryBackend>();
    const onBacklog = make({
      backend: () => new MemoryBackend({ runtime }),
      start: (backlog) => void started.push(backlog),
    });
    const other = { ...BACKLOG, location: "s3://bucket/other" };
    for (const backlog of [BACKLOG, other, BACKLOG, other]) await onBacklog(backlog);
    expect(started).toEqual([BACKLOG, other]);
    expect(backends.size).toBe(0);
  });
});

test.each([
  [{ intervalMs: 0 }, /intervalMs: expected a positive integer up to 900000/],
  [{ intervalMs: 900_001 }, /intervalMs/],
  [{ start: "x" }, /start: expected a function/],
  [{ name: "x" }, /unknown option "name"/],
])("%j is refused", async (options, message) => {
  const made = async (): Promise<unknown> => Reflect.apply(startCompactor, undefined, [options]);
  expect(String(await rejection(made()))).toMatch(message);
});

describe("an invocation of Lambda", () => {
  const endpoint = lambdaEndpoint();

  /** Handlers of a store with three segments, for which two are a backlog. */
  async function handlers(count: number) {
    const backend = new MemoryBackend();
    await put("store", backend, "a", "b", "c");
    const warnings: string[] = [];
    const costs: Cost[] = [];
    const made = Array.from({ length: count }, () =>
      withStore<number>(
        {
          location: "store",
          backend,
          backlogSegments: 2,
          onWarning: (message) => warnings.push(message),
          onCost: (cost) => void costs.push(cost),
        },
        (_event, _context, store) => store.read("a"),
      ),
    );
    return { made, warnings, costs };
  }

  test("is what withStore sends once where the environment names the function", async () => {
    vi.stubEnv("OPSLOG_COMPACTOR", ARN);
    const { made, warnings, costs } = await handlers(20);
    await Promise.all(made.map((handler) => handler({}, lambdaContext())));
    expect(warnings).toEqual([]);
    expect(endpoint.received).toMatchObject([
      {
        method: "POST",
        url: `/2015-03-31/functions/${encodeURIComponent(ARN)}/invocations`,
        headers: { "x-amz-invocation-type": "Event", "x-amz-security-token": "token" },
        body: JSON.stringify({ location: "store", segments: 3, reason: "backlog" }),
      },
    ]);
    // What taking its turn costs belongs to the invocation.
    expect(Math.max(...costs.map(({ requests }) => requests.put))).toBe(1);
    await Promise.all(made.map((handler) => handler({}, lambdaContext())));
    expect(endpoint.received).toHaveLength(1);
    expect(costs.slice(20).every(({ requests }) => requests.put === 0)).toBe(true);
  });

  test("is signed as the AWS SDK signs it", async () => {
    await startCompactor({ functionName: `${ARN}:live`, backend: new MemoryBackend() })(BACKLOG);
    const [{ url, headers, body } = expect.fail("nothing sent")] = endpoint.received;
    const date = String(headers["x-amz-date"]);
    const signer = new SignatureV4({
      service: "lambda",
      region: "eu-central-1",
      credentials: {
        accessKeyId: "AKIDEXAMPLE",
        secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        sessionToken: "token",
      },
      sha256: Sha256,
    });
    const signed = await signer.sign(
      {
        method: "POST",
        protocol: "http:",
        hostname: "127.0.0.1",
        path: url ?? "",
        query: {},
        headers: {
          "content-type": "application/json",
          host: headers.host ?? "",
          "x-amz-invocation-type": "Event",
          "x-amz-content-sha256": String(headers["x-amz-content-sha256"]),
        },
        body,
      },
      { signingDate: new Date(date.replace(/(....)(..)(..)T(..)(..)(..)Z/, "$1-$2-$3T$4:$5:$6Z")) },
    );
    expect(headers.authorization).toBe(signed.headers["authorization"]);
  });

  test("is not sent without the variable, or where the option says otherwise", async () => {
    const { made, warnings } = await handlers(1);
    await made[0]?.({}, lambdaContext());
    expect(warnings).toEqual([expect.stringMatching(/^backlog: 3 segments of store wait/)]);
    vi.stubEnv("OPSLOG_COMPACTOR", ARN);
    const backend = new MemoryBackend();
    await put("store", backend, "a", "b");
    const own: Backlog[] = [];
    const onBacklog = (backlog: Backlog): void => void own.push(backlog);
    const options = { location: "store", backend, backlogSegments: 1, onBacklog };
    await withStore(options, () => undefined)({}, lambdaContext());
    expect(own).toEqual([{ location: "store", segments: 2 }]);
    expect(endpoint.received).toEqual([]);
  });

  test("that is refused is a warning, and no failure of the handler", async () => {
    vi.stubEnv("OPSLOG_COMPACTOR", ARN);
    endpoint.status = 403;
    const { made, warnings } = await handlers(1);
    expect(await made[0]?.({}, lambdaContext())).toBe(1);
    expect(warnings).toEqual([
      `onBacklog failed: AccessDeniedError: the function ${ARN} may not be started: ` +
        'Lambda answered 403: {"Message":"not for you"}',
    ]);
  });

  test("is no reason to be late: the handler ends with its time", async () => {
    vi.stubEnv("OPSLOG_COMPACTOR", ARN);
    endpoint.isSilent = true;
    const { made } = await handlers(1);
    const startMs = performance.now();
    const endMs = startMs + 1_200;
    const context = {
      awsRequestId: "one",
      getRemainingTimeInMillis: () => endMs - performance.now(),
    };
    expect(await made[0]?.({}, context)).toBe(1);
    expect(performance.now() - startMs).toBeLessThan(1_200);
  });

  test("names what is wrong", async () => {
    const fails = async (functionName?: string): Promise<unknown> => {
      const options = { functionName, backend: new MemoryBackend() };
      return rejection(startCompactor(options)(BACKLOG));
    };
    for (const name of [undefined, "", "a b", "a/b"]) {
      expect(await fails(name)).toMatchObject({
        code: "INVALID_ARGUMENT",
        message: expect.stringContaining("OPSLOG_COMPACTOR"),
      });
    }
    endpoint.status = 429;
    expect(await fails("compactor")).toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("compactor was not started: Error: Lambda answered 429"),
    });
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "");
    expect(await fails("compactor")).toMatchObject({ code: "ACCESS_DENIED" });
    vi.stubEnv("AWS_REGION", "");
    vi.stubEnv("AWS_DEFAULT_REGION", "");
    expect(await fails("compactor")).toMatchObject({
      code: "INVALID_ARGUMENT",
      message: "AWS_REGION is not set",
    });
  });
});

test("a server's store starts it, too", async () => {
  const backend = new MemoryBackend();
  await put("store", backend, "a", "b");
  const started: Backlog[] = [];
  const onBacklog = startCompactor({ backend, start: (backlog) => void started.push(backlog) });
  const options = { backend, agentId: "server", skipLoad: true, backlogSegments: 1, onBacklog };
  await using store = await Store.open<number>("store", options);
  expect(await store.read("a")).toBe(1);
  await store.close();
  expect(started).toEqual([{ location: "store", segments: 2 }]);
});
