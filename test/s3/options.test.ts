import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { mockClient } from "aws-sdk-client-mock";
import { afterEach, expect, test, vi } from "vitest";
import {
  AccessDeniedError,
  InvalidArgumentError,
  NotOpenError,
  UnavailableError,
} from "../../src/core/errors.ts";
import { S3Backend } from "../../src/s3/index.ts";
import {
  type CommonS3Options,
  type S3Settings,
  resolveOptions,
  resolvePlace,
} from "../../src/s3/s3-options.ts";
import { createClient } from "../../src/s3/sdk-transport.ts";
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
    { bucket: "Upper" },
    { bucket: "a..b" },
    { prefix: "a/../b" },
    { prefix: "p".repeat(124) },
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
    ["/a", "/a/"],
    ["//", ""],
    ["", ""],
  ] as const) {
    expect(placeOf(prefix)).toEqual({ bucket: "given", prefix: expected });
  }
  expect(() => resolvePlace("./data", none)).toThrow(/s3:\/\/bucket\/prefix.*found location/);
  expect(() => resolvePlace("s3://", none)).toThrow(InvalidArgumentError);
  expect(() => resolvePlace("s3://b_d/x", none)).toThrow(InvalidArgumentError);
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
  expect(aws.config.forcePathStyle).toBeFalsy();
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
