/** What only the light client has: its signature, its XML, where it sends, whose credentials. */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterEach, describe, expect, test, vi } from "vitest";
import { AccessDeniedError, InvalidArgumentError } from "../../src/core/errors.ts";
import { addressOf } from "../../src/s3/light/address.ts";
import { LightS3Backend, type LightS3BackendOptions } from "../../src/s3/light/index.ts";
import { sign } from "../../src/s3/light/sigv4.ts";
import {
  completeBody,
  deleteBody,
  parseCompleted,
  parseDeleteResult,
  parseError,
  parseList,
  parseUploadId,
} from "../../src/s3/light/xml.ts";
import { recordingProxy } from "../support/recording-proxy.ts";
import { bytes, ok, rejection, s3Error, scriptedWith, virtualRuntime } from "./support.ts";

afterEach(() => vi.unstubAllEnvs());

describe("a signature", () => {
  /** "Examples: Signature Calculations" in the Amazon S3 API Reference. */
  const credentials = {
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  };
  const nowMs = Date.UTC(2013, 4, 24);
  const host = "examplebucket.s3.amazonaws.com";
  const empty = new Uint8Array(0);

  test.each([
    [
      "GET Object",
      { method: "GET", path: "/test.txt", query: {}, body: empty },
      { range: "bytes=0-9" },
      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ],
    [
      "PUT Object",
      { method: "PUT", path: "/test%24file.text", query: {}, body: bytes("Welcome to Amazon S3.") },
      { date: "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY" },
      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ],
    [
      "GET Bucket Lifecycle",
      { method: "GET", path: "/", query: { lifecycle: "" }, body: empty },
      {},
      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ],
    [
      "GET Bucket (List Objects)",
      { method: "GET", path: "/", query: { "max-keys": "2", prefix: "J" }, body: empty },
      {},
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ],
  ])("is that of the published example: %s", (_name, request, headers, expected) => {
    const signable = { ...request, headers: { host, ...headers } };
    const { authorization } = sign(signable, credentials, "us-east-1", nowMs);
    expect(authorization).toMatch(new RegExp(`, Signature=${expected}$`));
    expect(authorization).toContain(
      "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=",
    );
  });

  test("covers a session token", () => {
    const signable = { method: "GET", path: "/", query: {}, headers: { host }, body: empty };
    const signed = sign(signable, { ...credentials, sessionToken: "t" }, "us-east-1", nowMs);
    expect(signed["x-amz-security-token"]).toBe("t");
    expect(signed["authorization"]).toContain("x-amz-security-token,".replace(",", ""));
    const plain = sign(signable, credentials, "us-east-1", nowMs);
    expect(plain).not.toHaveProperty("x-amz-security-token");
  });
});

describe("XML", () => {
  test("an answer that is cut short or of another kind is no shorter listing", () => {
    const whole =
      "<ListBucketResult><IsTruncated>false</IsTruncated>" +
      "<Contents><Key>a&amp;&#x42;&#67;&lt;</Key><Size>3</Size>" +
      "<LastModified>2026-11-22T10:00:00.000Z</LastModified></Contents></ListBucketResult>";
    expect(parseList(whole)).toEqual({
      objects: [{ key: "a&BC<", bytes: 3, lastModifiedMs: Date.UTC(2026, 10, 22, 10) }],
      prefixes: [],
      encoded: false,
      truncated: false,
      continuationToken: undefined,
    });
    for (let length = 0; length < whole.length; length++) {
      expect(() => parseList(whole.slice(0, length)), String(length)).toThrow(/no whole/);
    }
    for (const parse of [parseList, parseDeleteResult, parseUploadId, parseCompleted]) {
      expect(() => parse("<Html></Html>")).toThrow(/no whole/);
    }
    expect(() => parseUploadId("<InitiateMultipartUploadResult/>")).toThrow(/UploadId/);
    expect(parseDeleteResult('<DeleteResult xmlns="x"/>'.replace(' xmlns="x"', ""))).toEqual([]);
  });

  test("an error is an error at the root only", () => {
    const error = "<Error><Code>NoSuchKey</Code><Message>about it</Message></Error>";
    const expected = { code: "NoSuchKey", message: "about it" };
    expect(parseError(`<?xml version="1.0"?>\n${error}`)).toEqual(expected);
    expect(parseError(`<DeleteResult>${error}</DeleteResult>`)).toBeUndefined();
    expect(parseError("")).toBeUndefined();
  });

  test("what is sent escapes what XML would change", () => {
    expect(deleteBody(["a&b<c>\"'\r\n"])).toContain(
      "<Key>a&#x26;b&#x3C;c&#x3E;&#x22;&#x27;&#xD;&#xA;</Key>",
    );
    const part = { partNumber: 1, etag: '"e"', crc32: undefined };
    expect(completeBody([part])).toContain(
      "<Part><PartNumber>1</PartNumber><ETag>&#x22;e&#x22;</ETag></Part>",
    );
  });
});

describe("an address", () => {
  const variant = { fips: false, dualStack: false };
  const aws = { region: "eu-west-1", endpoint: undefined, forcePathStyle: undefined, variant };
  const fips = { fips: true, dualStack: false };
  const both = { fips: true, dualStack: true };
  const own = { ...aws, endpoint: "http://127.0.0.1:9000/base/" };
  test.each([
    ["bucket", aws, "https://bucket.s3.eu-west-1.amazonaws.com", "/a%20b/c"],
    ["buc.ket", aws, "https://s3.eu-west-1.amazonaws.com", "/buc.ket/a%20b/c"],
    [
      "bucket",
      { ...aws, forcePathStyle: true },
      "https://s3.eu-west-1.amazonaws.com",
      "/bucket/a%20b/c",
    ],
    [
      "bucket",
      { ...aws, region: "cn-north-1" },
      "https://bucket.s3.cn-north-1.amazonaws.com.cn",
      "/a%20b/c",
    ],
    ["Buc_ket", aws, "https://s3.eu-west-1.amazonaws.com", "/Buc_ket/a%20b/c"],
    [
      "bucket",
      { ...aws, variant: fips },
      "https://bucket.s3-fips.eu-west-1.amazonaws.com",
      "/a%20b/c",
    ],
    [
      "bucket",
      { ...aws, variant: both },
      "https://bucket.s3-fips.dualstack.eu-west-1.amazonaws.com",
      "/a%20b/c",
    ],
    ["bucket", { ...own, variant: both }, "http://127.0.0.1:9000", "/base/bucket/a%20b/c"],
    ["bucket", own, "http://127.0.0.1:9000", "/base/bucket/a%20b/c"],
    [
      "bucket",
      { ...aws, endpoint: "https://s3.test:8443", forcePathStyle: false },
      "https://bucket.s3.test:8443",
      "/a%20b/c",
    ],
  ])("of %s with %o is %s%s", (bucket, settings, server, path) => {
    const address = addressOf(bucket, "a b/c", settings);
    expect([address.origin.origin, address.path]).toEqual([server, path]);
    expect(`${address.origin.protocol}//${address.host}`).toBe(server);
  });
});

async function seenBy(options: LightS3BackendOptions): Promise<{ host: string; path: string }> {
  await using proxy = await recordingProxy("http://127.0.0.1:9");
  proxy.fault = () => ok("{}");
  // A name below localhost is this machine, so that the bucket can be in it.
  const endpoint = proxy.endpoint.replace("127.0.0.1", "localhost");
  const backend = new LightS3Backend({ endpoint, region: "eu-west-1", ...options });
  await backend.initialize("s3://bucket/store", { readOnly: false });
  await backend.get("a b/é!.json");
  await backend.shutdown();
  const [request] = proxy.requests;
  return { host: String(request?.requestHeaders.host), path: request?.path ?? "" };
}

const CREDENTIALS = { accessKeyId: "id", secretAccessKey: "secret" };

describe("LightS3Backend", () => {
  test("addresses the bucket in the path on other servers, and encodes keys", async () => {
    const { path } = await seenBy({ credentials: CREDENTIALS });
    expect(path).toBe("/bucket/store/a%20b/%C3%A9%21.json");
  });

  test("requests credentials before each request", async () => {
    let asked = 0;
    const credentials = async (): Promise<typeof CREDENTIALS> => {
      asked++;
      return CREDENTIALS;
    };
    await seenBy({ credentials });
    expect(asked).toBe(1);
  });

  test("repeats a request whose credentials fail for a moment, as the SDK of their source says", async () => {
    let requested = 0;
    const credentials = async (): Promise<typeof CREDENTIALS> => {
      if (++requested > 1) return CREDENTIALS;
      const $metadata = { httpStatusCode: 500, requestId: "sts-1" };
      throw Object.assign(new Error("try later"), { name: "InternalFailure", $metadata });
    };
    const { path } = await seenBy({ credentials });
    expect([requested, path]).toEqual([2, "/bucket/store/a%20b/%C3%A9%21.json"]);
  });

  test("takes credentials and region from the environment, and says what is missing", async () => {
    const names = [
      "ACCESS_KEY_ID",
      "SECRET_ACCESS_KEY",
      "SESSION_TOKEN",
      "REGION",
      "DEFAULT_REGION",
    ];
    for (const name of names) vi.stubEnv(`AWS_${name}`, "");
    const failing = async (): Promise<unknown> => {
      const backend = new LightS3Backend({ endpoint: "http://127.0.0.1:9", bucket: "bucket" });
      await backend.initialize("", { readOnly: false });
      return rejection(backend.get("x"));
    };
    expect(String(await failing())).toContain("Set the region");
    vi.stubEnv("AWS_REGION", "us-east-1");
    const error = await failing();
    expect(error).toBeInstanceOf(AccessDeniedError);
    expect(String(error)).toMatch(/Check the credentials in AWS_ACCESS_KEY_ID, .* no profile/);
    expect(String(error)).not.toContain("SDK");
  });

  test("blames what it was given when a server refuses it", async () => {
    await using light = await scriptedWith("light")([s3Error(403, "InvalidAccessKeyId")]);
    await using sdk = await scriptedWith("SDK")([s3Error(403, "InvalidAccessKeyId")]);
    const [own, found] = [
      await rejection(light.backend.get("x")),
      await rejection(sdk.backend.get("x")),
    ];
    expect(String(own)).toContain("Check the credentials from the option credentials");
    expect(String(found)).toContain("Check the credentials that the AWS SDK finds (environment,");
  });

  test("refuses unknown options, endpoints that are no URL, and access points", async () => {
    const misspelt: object = { credential: CREDENTIALS };
    expect(() => new LightS3Backend(misspelt)).toThrow(/unknown option of LightS3Backend/);
    expect(() => new LightS3Backend({ endpoint: "localhost" })).toThrow(InvalidArgumentError);
    const backend = new LightS3Backend({
      bucket: "arn:aws:s3:us-east-1:123456789012:accesspoint/x",
      region: "us-east-1",
      credentials: CREDENTIALS,
      runtime: virtualRuntime(),
    });
    await backend.initialize("", { readOnly: false });
    expect(await rejection(backend.get("x"))).toBeInstanceOf(InvalidArgumentError);
  });

  test("brings no AWS SDK, and no HTTP client at module load", async () => {
    const { metafile } = await build({
      entryPoints: [fileURLToPath(new URL("../../src/s3/light/index.ts", import.meta.url))],
      bundle: true,
      platform: "node",
      format: "esm",
      write: false,
      metafile: true,
    });
    const inputs = Object.keys(metafile.inputs);
    expect(inputs.filter((path) => path.includes("node_modules"))).toEqual([]);
    const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
    expect(imports.filter(({ path }) => /http|undici/.test(path))).toEqual([]);
  });
});
