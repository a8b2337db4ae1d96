/** Servers that take preconditions and ignore them, and clients that drop them on the way. */
import { S3Client } from "@aws-sdk/client-s3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { NotSupportedError } from "../../src/core/errors.ts";
import { decodeManifest } from "../../src/format/manifest-codec.ts";
import { S3Backend } from "../../src/s3/index.ts";
import { LightS3Backend } from "../../src/s3/light/index.ts";
import { compact } from "../../src/compaction/compact.ts";
import { Store } from "../../src/store/store.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { type SmallS3Server, smallS3Server } from "../support/s3-server.ts";
import { bytes, CLIENTS, etagOf, rejection, scriptedWith } from "./support.ts";

const CREDENTIALS = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "very-secret" };
const LOCATION = "s3://bucket/store";
const LAZY = { agentId: "lazy", skipLoad: true } as const;

let server: SmallS3Server;
beforeEach(async () => {
  server = await smallS3Server();
});
afterEach(() => server[Symbol.asyncDispose]());

function clientOf({ endpoint }: SmallS3Server): S3Client {
  return new S3Client({
    endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: CREDENTIALS,
    maxAttempts: 1,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
}

function backendOf(
  client: (typeof CLIENTS)[number],
  asked: SmallS3Server = server,
): S3Backend | LightS3Backend {
  const { endpoint } = asked;
  return client === "SDK"
    ? new S3Backend({ client: clientOf(asked) })
    : new LightS3Backend({ endpoint, region: "us-east-1", credentials: CREDENTIALS });
}

const puts = (): string[] => server.requests.filter((request) => request.startsWith("PUT"));
const verdicts = (): unknown =>
  decodeManifest(server.objects.get("store/manifest.json") ?? Buffer.from(""), "m").conditions;

describe.each(CLIENTS)("with the %s client:", (client) => {
  const open = (options: StoreOptions<number> = {}): Promise<Store<number>> =>
    Store.open<number>(LOCATION, {
      backend: backendOf(client),
      checkpointOnClose: false,
      ...options,
    });

  test.each([
    ["both", ["if-none-match", "if-match"]],
    ["If-None-Match", ["if-none-match"]],
    ["If-Match", ["if-match"]],
  ] as const)(
    "no store is born where %s is ignored, nor anything left behind",
    async (_, ignored) => {
      server.ignored = ignored;
      const error = await rejection(open({ agentId: "a" }));
      expect(error).toBeInstanceOf(NotSupportedError);
      expect(String(error)).toMatch(/'bucket' at http:\/\/127\.0\.0\.1:\d+, .* does not honour/);
      const single = await rejection(open());
      expect(single).toBeInstanceOf(NotSupportedError);
      expect([...server.objects.keys()].filter((key) => !key.endsWith(".lease"))).toEqual([]);
    },
  );

  test("where creates are ignored a lazy writer acknowledges nothing, and says why", async () => {
    server.ignored = ["if-none-match"];
    const store = await open(LAZY);
    const first = await rejection(store.set("x", 1));
    expect(first).toBeInstanceOf(NotSupportedError);
    expect(String(first)).toContain("a create of a name that exists was accepted");
    expect(server.objects.size).toBe(0);
    server.requests.length = 0;
    expect(await rejection(store.set("x", 2))).toBeInstanceOf(NotSupportedError);
    expect(puts()).toEqual([]);
    await store.close();
  });

  test("where swaps are ignored no compaction runs, and writers lose nothing", async () => {
    server.ignored = ["if-match"];
    const store = await open(LAZY);
    await store.set("x", 1);
    const error = await rejection(compact(LOCATION, { backend: backendOf(client) }));
    expect(error).toBeInstanceOf(NotSupportedError);
    expect(String(error)).toContain("a swap by an outdated etag was accepted");
    expect(await store.read("x")).toBe(1);
    await store.close();
  });

  test("a store that came from another server is read here; its verdict is not taken over", async () => {
    const born = await open({ agentId: "a" });
    await born.set("x", 1);
    await born.close();
    await using other = await smallS3Server();
    for (const [key, body] of server.objects) other.objects.set(key, body);
    other.ignored = ["if-none-match", "if-match"];
    const store = await open({ ...LAZY, backend: backendOf(client, other) });
    expect(await store.read("x")).toBe(1);
    expect(await rejection(store.set("x", 2))).toBeInstanceOf(NotSupportedError);
    expect(await store.read("x")).toBe(1);
    await store.close();
  });

  test("a store that was born keeps the verdict; writers ask no more", async () => {
    const born = await open({ agentId: "a" });
    expect(verdicts()).toEqual([
      {
        endpoint: server.endpoint,
        bucket: "bucket",
        client:
          client === "SDK" ? expect.stringMatching(/^aws-sdk-js\/3\.\d+/) : "opslog-serverless",
      },
    ]);
    expect([...server.objects.keys()]).toEqual(["store/manifest.json"]);
    await born.close();
    server.requests.length = 0;
    const store = await open(LAZY);
    await store.set("x", 1);
    await store.set("x", 2);
    expect(puts().map((put) => put.slice(-3))).toEqual(["200", "200"]);
    await store.close();
  });

  test("without a verdict the first write is sent twice, and none after it", async () => {
    const store = await open(LAZY);
    await store.set("x", 1);
    await store.set("x", 2);
    expect(puts().map((put) => put.slice(-3))).toEqual(["200", "412", "200"]);
    await store.close();
    expect(server.objects.size).toBe(2);
  });

  test("a compaction of a store without a verdict adds one; another does not ask again", async () => {
    const store = await open(LAZY);
    await store.set("x", 1);
    await compact(LOCATION, { backend: backendOf(client), segmentGraceMs: 0 });
    expect(verdicts()).toHaveLength(1);
    await store.set("x", 2);
    server.requests.length = 0;
    await compact(LOCATION, { backend: backendOf(client), segmentGraceMs: 0 });
    expect(server.requests.filter((request) => request.includes(".probe"))).toEqual([]);
    expect(verdicts()).toHaveLength(1);
    await store.close();
  });

  test("openings that race for a first manifest share one store, whichever is first", async () => {
    const stores = await Promise.all(["a", "b", "c"].map((agentId) => open({ agentId })));
    await Promise.all(stores.map((store, at) => store.set(`x${at}`, at)));
    await Promise.all(stores.map((store) => store.close()));
    expect(verdicts()).toHaveLength(1);
    const keys = [...server.objects.keys()].filter((key) => !key.startsWith("store/ops/"));
    expect(keys).toEqual(["store/manifest.json"]);
    const reader = await open({ readOnly: true });
    expect(reader.count()).toBe(3);
    await reader.close();
  });
});

describe("an SDK that drops a condition", () => {
  /** As those that do not know the header yet. */
  function oldClient(dropped: readonly string[]): S3Client {
    const client = clientOf(server);
    client.middlewareStack.add(
      (next) => (args) => {
        for (const name of dropped) Reflect.deleteProperty(args.input, name);
        return next(args);
      },
      { step: "initialize", name: "old" },
    );
    return client;
  }

  test("is noticed before anything is sent", async () => {
    const backend = new S3Backend({ client: oldClient(["IfNoneMatch", "IfMatch"]) });
    await backend.initialize(LOCATION, { readOnly: false });
    const created = await rejection(backend.put("x", bytes("1"), { ifAbsent: true }));
    const swapped = await rejection(backend.put("x", bytes("1"), { ifMatch: "abc" }));
    for (const error of [created, swapped]) {
      expect(error).toBeInstanceOf(NotSupportedError);
      expect(String(error)).toMatch(/aws-sdk-js\/\S+ left the header if-(none-)?match out/);
    }
    expect(server.requests).toEqual([]);
    expect((await backend.put("x", bytes("1"), "none")).status).toBe("written");
  });

  test("that knows creates only, too", async () => {
    const backend = new S3Backend({ client: oldClient(["IfMatch"]) });
    await backend.initialize(LOCATION, { readOnly: false });
    const etag = etagOf(await backend.put("x", bytes("1"), { ifAbsent: true }));
    const error = await rejection(backend.put("x", bytes("2"), { ifMatch: etag }));
    expect(error).toBeInstanceOf(NotSupportedError);
  });

  test("writes no record; a verdict of another client does not help it", async () => {
    const born = await Store.open<number>(LOCATION, { backend: backendOf("SDK"), agentId: "a" });
    await born.set("x", 1);
    await born.close();
    const backend = new S3Backend({ client: oldClient(["IfNoneMatch", "IfMatch"]) });
    const store = await Store.open<number>(LOCATION, { ...LAZY, backend });
    expect(await store.read("x")).toBe(1);
    expect(await rejection(store.set("x", 2))).toBeInstanceOf(NotSupportedError);
    await store.close();
  });
});

test.each([
  [{}, "my-bucket", "https://s3.eu-central-1.amazonaws.com"],
  [{ endpoint: "https://s3.example:443", forcePathStyle: true }, "b", "https://s3.example"],
  [{ endpoint: "http://gateway:81/one", forcePathStyle: true }, "b", "http://gateway:81/one"],
  [{ endpoint: "https://s3.example" }, "store", "https://s3.example"],
])(
  "the server is named by where requests go, without the bucket: %j",
  async (config, bucket, endpoint) => {
    const handle = async (): Promise<object> => {
      return { response: { statusCode: 404, headers: { date: new Date().toUTCString() } } };
    };
    const requestHandler = { handle } as unknown as S3Client["config"]["requestHandler"];
    const own = { region: "eu-central-1", credentials: CREDENTIALS, requestHandler };
    const backend = new S3Backend({ client: new S3Client({ ...own, ...config }) });
    await backend.initialize(`s3://${bucket}/store`, { readOnly: false });
    expect(backend.proofScope.endpoint).toBe("");
    await backend.get("x");
    expect(backend.proofScope).toMatchObject({ endpoint, bucket });
  },
);

test("what was settled by reading back says so: the server has refused a create", async () => {
  const answers = [
    { status: 500, body: "<Error><Code>InternalError</Code></Error>" },
    { status: 412, body: "<Error><Code>PreconditionFailed</Code></Error>" },
    { status: 200, body: "ours", headers: { etag: '"e"' } },
  ];
  await using s3 = await scriptedWith("light")(answers);
  const put = await s3.backend.put("x", bytes("ours"), { ifAbsent: true });
  expect(put).toMatchObject({ status: "written", readBack: true });
});
