import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { mockClient } from "aws-sdk-client-mock";
import { afterEach, expect, test, vi } from "vitest";
import {
  AccessDeniedError,
  InvalidArgumentError,
  NotOpenError,
  UnavailableError,
} from "../../src/core/errors.ts";
import { CLOCK_MAX } from "../../src/core/version.ts";
import { encodeFilter, FILTER_IDS_MAX, segmentPath, streamName } from "../../src/format/paths.ts";
import { LightS3Backend } from "../../src/s3/light/index.ts";
import { S3Backend } from "../../src/s3/index.ts";
import { keyOf } from "../../src/s3/requests/client.ts";
import {
  type CommonS3Options,
  type S3Settings,
  resolveOptions,
  resolvePlace,
} from "../../src/s3/requests/options.ts";
import { createClient } from "../../src/s3/sdk/own-client.ts";
import { bytes, rejection, virtualRuntime } from "./support.ts";

function resolved(options: CommonS3Options): S3Settings {
  return resolveOptions(options, { name: "S3Backend", option: "client" });
}

afterEach(() => vi.unstubAllEnvs());

test("unknown options and unusable values are refused", () => {
  const misspelt = { bucket: "bucket", prefixx: "store" };
  expect(() => new S3Backend(misspelt)).toThrow(/unknown option of S3Backend: "prefixx"/);
  for (const options of [
    { maxSockets: 0 },
    { requestTimeoutMs: 1.5 },
    { partBytes: 1_000_000 },
    { partBytes: 5_000_000_000 },
    { bucket: "" },
    { bucket: ".." },
    { bucket: "a/b" },
    { bucket: "a b" },
    { prefix: "a/../b" },
    { prefix: "a\nb" },
    { prefix: "p".repeat(600) },
    { client: new S3Client({ region: "us-east-1", cacheMiddleware: true }) },
  ]) {
    expect(() => new S3Backend(options), Object.keys(options).join()).toThrow(InvalidArgumentError);
  }
  expect(() => new S3Backend({ bucket: undefined, maxSockets: undefined })).not.toThrow();
});

test("the place comes from an s3:// URL, else from the options", () => {
  const none = resolved({});
  expect(resolvePlace("s3://plain/a/b/", none)).toEqual({ bucket: "plain", prefix: "a/b/" });
  expect(resolvePlace("s3://plain", none)).toEqual({ bucket: "plain", prefix: "" });
  const given = resolved({ bucket: "given", prefix: "p/" });
  expect(resolvePlace("./data", given)).toEqual({ bucket: "given", prefix: "p/" });
  expect(resolvePlace("s3://given/p", given)).toEqual({ bucket: "given", prefix: "p/" });
  for (const other of ["s3://other/p", "s3://given/q", "s3://given"]) {
    expect(() => resolvePlace(other, given)).toThrow(/name different places/);
  }
  const placeOf = (prefix: string): unknown =>
    resolvePlace("any name", resolved({ bucket: "given", prefix }));
  for (const [prefix, expected] of [
    ["a/b///", "a/b/"],
    ["a//b", "a//b/"],
    ["p".repeat(599), `${"p".repeat(599)}/`],
    ["/a", "/a/"],
    ["//", ""],
    ["", ""],
  ] as const) {
    expect(placeOf(prefix)).toEqual({ bucket: "given", prefix: expected });
  }
  expect(() => resolvePlace("./data", none)).toThrow(/s3:\/\/bucket\/prefix.*found location/);
  expect(() => resolvePlace("s3://", none)).toThrow(InvalidArgumentError);
  expect(() => resolvePlace("s3://b d/x", none)).toThrow(InvalidArgumentError);
});

test.each(["under_score", "Upper", "a..b", "ab"])(
  "which bucket names there are is the server's affair: %s",
  (bucket) => {
    expect(resolvePlace(`s3://${bucket}/x`, resolved({}))).toEqual({ bucket, prefix: "x/" });
    expect(resolvePlace("any", resolved({ bucket }))).toEqual({ bucket, prefix: "" });
  },
);

test("the longest prefix leaves room for every name that a store makes by itself", () => {
  const agentId = "a".repeat(256);
  const stream = streamName({ agentId, openMs: 10 ** 16 - 1, rand: "f".repeat(16) });
  const filter = encodeFilter(Array.from({ length: FILTER_IDS_MAX }, (_, n) => String(n)));
  const largest = { n: Number.MAX_SAFE_INTEGER, lo: CLOCK_MAX, hi: CLOCK_MAX };
  const longest = segmentPath({ stream, ...largest, filter });
  const prefix = "p".repeat(599);
  const place = resolvePlace("any", resolved({ bucket: "bucket", prefix }));
  expect(keyOf(place, longest)).toBe(`${prefix}/${longest}`);
  expect(Buffer.byteLength(longest)).toBeGreaterThan(300);
});

test("a key that S3 would refuse as too long is refused before a request", async () => {
  const backend = new S3Backend({ bucket: "bucket", prefix: "p".repeat(500) });
  await backend.initialize("any", { readOnly: false });
  const error = await rejection(backend.get("x".repeat(524)));
  expect(error).toBeInstanceOf(InvalidArgumentError);
  expect(String(error)).toMatch(/has 1025 bytes with the store's prefix, at most 1024/);
});

test.each([
  "127.0.0.1:7480",
  "localhost:9000",
  "minio",
  "s3://bucket",
  "http://",
  "ftp://host",
  "",
])("an endpoint that is no http URL is refused, and named: %s", (endpoint) => {
  const make = [() => new S3Backend({ endpoint }), () => new LightS3Backend({ endpoint })];
  for (const each of make) {
    expect(each).toThrow(InvalidArgumentError);
    expect(each).toThrow(/^endpoint must be a URL such as "http:\/\/127.0.0.1:9000"/);
  }
  if (endpoint === "") return;
  vi.stubEnv("AWS_ENDPOINT_URL", endpoint);
  expect(() => new LightS3Backend()).toThrow(/^AWS_ENDPOINT_URL must be a URL/);
  expect(() => createClient(resolved({}))).toThrow(/^AWS_ENDPOINT_URL must be a URL/);
});

test("a password in an endpoint is not shown", () => {
  const endpoint = "ftp://user:secret@host";
  expect(() => new S3Backend({ endpoint })).toThrow('found "ftp://…@host"');
});

test("one backend is not moved to another place under a store that uses it", async () => {
  const backend = new S3Backend();
  await expect(backend.get("x")).rejects.toBeInstanceOf(NotOpenError);
  await backend.initialize("s3://one/p", { readOnly: false });
  await backend.initialize("s3://one/p/", { readOnly: true });
  const error = await rejection(backend.initialize("s3://two/p", { readOnly: false }));
  expect(error).toBeInstanceOf(InvalidArgumentError);
  await backend.shutdown();
  await backend.initialize("s3://two/p", { readOnly: false });
});

test("our own client repeats nothing; off AWS it has path style and few checksums", async () => {
  vi.stubEnv("AWS_ENDPOINT_URL_S3", "");
  vi.stubEnv("AWS_ENDPOINT_URL", "");
  const aws = createClient(resolved({ region: "eu-west-1" }));
  expect(await aws.config.maxAttempts()).toBe(1);
  expect(await aws.config.requestChecksumCalculation()).toBe("WHEN_SUPPORTED");
  for (const name of ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", undefined]) {
    if (name !== undefined) vi.stubEnv(name, "http://127.0.0.1:9");
    const endpoint = name === undefined ? "http://127.0.0.1:9" : undefined;
    const other = createClient(resolved({ region: "eu-west-1", endpoint }));
    expect(other.config.forcePathStyle, name).toBe(true);
    expect(await other.config.requestChecksumCalculation(), name).toBe("WHEN_REQUIRED");
    expect(await other.config.responseChecksumValidation(), name).toBe("WHEN_REQUIRED");
    vi.unstubAllEnvs();
  }
});

test("a caller's client is used and not destroyed; its stub needs no HTTP", async () => {
  const client = new S3Client({ region: "us-east-1" });
  const destroy = vi.spyOn(client, "destroy");
  const mock = mockClient(client);
  mock.on(GetObjectCommand).resolves({ ETag: '"abc"' });
  const runtime = virtualRuntime();
  const backend = new S3Backend({ client, runtime, bucket: "bucket" });
  await backend.initialize("./ignored", { readOnly: false });
  expect(await backend.get("x")).toMatchObject({ etag: "abc", dateMs: runtime.nowMs() });
  await backend.shutdown();
  expect(destroy).not.toHaveBeenCalled();
});

test("412 after attempts that only the SDK saw is read back", async () => {
  const client = new S3Client({ region: "us-east-1" });
  const mock = mockClient(client);
  const taken = { name: "PreconditionFailed", $metadata: { httpStatusCode: 412, attempts: 2 } };
  mock.on(PutObjectCommand).rejects(Object.assign(new Error("taken"), taken));
  mock.on(GetObjectCommand).resolves({ ETag: '"abc"' });
  const backend = new S3Backend({ client, bucket: "bucket" });
  await backend.initialize("", { readOnly: false });
  const other = await backend.put("x", bytes("ours"), { ifAbsent: true });
  expect(other.status).toBe("conflict");
  const same = await backend.put("x", bytes(""), { ifAbsent: true });
  expect(same.status).toBe("written");
  expect(mock.commandCalls(GetObjectCommand)).toHaveLength(2);
});

test("credentials or a server that cannot be found say so", async () => {
  const lost = async (): Promise<never> => {
    throw Object.assign(new Error("no credentials"), { name: "CredentialsProviderError" });
  };
  const credentials = { accessKeyId: "a", secretAccessKey: "b" };
  const endpoint = "http://127.0.0.1:9";
  const region = "us-east-1";
  const failing = async (client: S3Client): Promise<unknown> => {
    const backend = new S3Backend({ client, bucket: "bucket", runtime: virtualRuntime() });
    await backend.initialize("", { readOnly: false });
    return rejection(backend.put("x", bytes("ours"), "none", { timeoutMs: 2_000 }));
  };
  const anonymous = new S3Client({ region, endpoint, credentials: lost, maxAttempts: 1 });
  expect(await failing(anonymous)).toBeInstanceOf(AccessDeniedError);
  // Nobody listens there, so nothing can have landed.
  const alone = new S3Client({ region, endpoint, credentials, maxAttempts: 1 });
  expect(await failing(alone)).toBeInstanceOf(UnavailableError);
});
