/** Headers that a bucket asks for go along with the requests they belong to, and no others. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { InvalidArgumentError } from "../../src/core/errors.ts";
import { headersFor, type HeaderOptions } from "../../src/s3/requests/headers.ts";
import type { RecordedRequest, ScriptedAnswer } from "../support/recording-proxy.ts";
import { bytes, CLIENTS, ok, scriptedWith } from "./support.ts";

const MIB = 1024 * 1024;
const LIST = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
const BEGUN =
  "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
const COMPLETED = "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>";

function answer({ method, query }: RecordedRequest): ScriptedAnswer {
  if (method === "HEAD") return { status: 404, body: "" };
  if (query.has("list-type")) return ok(LIST);
  if (query.has("delete")) return ok("<DeleteResult/>");
  if (query.has("uploads")) return ok(BEGUN);
  if (method === "POST") return ok(COMPLETED);
  return ok("body");
}

function nameOf({ method, query }: RecordedRequest): string {
  const marks = ["list-type", "delete", "uploads", "partNumber", "uploadId"];
  return [method, marks.find((mark) => query.has(mark)) ?? ""].join(" ").trim();
}

describe.each(CLIENTS)("with the %s client:", (client) => {
  /** What each kind of request carried of these headers. */
  async function sent(
    options: HeaderOptions,
    names: readonly string[],
  ): Promise<Map<string, object>> {
    await using s3 = await scriptedWith(client)(answer, { ...options, partBytes: 5 * MIB });
    const { backend } = s3;
    async function* large(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(6 * MIB);
    }
    await backend.get("a");
    await backend.put("a", bytes("a"), "none");
    await backend.put("b", large(), { ifAbsent: true });
    for await (const page of backend.list("ops/")) expect(page.objects).toEqual([]);
    await backend.delete(["a"]);
    await backend.delete(["a", "b"]);
    return new Map(
      s3.requests.map((request) => {
        const all = Object.entries(request.requestHeaders);
        return [nameOf(request), Object.fromEntries(all.filter(([name]) => names.includes(name)))];
      }),
    );
  }

  const ALL = [
    "GET",
    "PUT",
    "HEAD",
    "POST uploads",
    "PUT partNumber",
    "POST uploadId",
    "GET list-type",
    "DELETE",
    "POST delete",
  ];

  test("requester pays, and a header of a proxy: every request", async () => {
    const headers = { "X-Amz-Request-Payer": "requester", "x-gateway-token": "t" };
    const found = await sent({ headers }, ["x-amz-request-payer", "x-gateway-token"]);
    const expected = { "x-amz-request-payer": "requester", "x-gateway-token": "t" };
    expect(Object.fromEntries(found)).toEqual(
      Object.fromEntries(ALL.map((name) => [name, expected])),
    );
  });

  test("KMS and tags: what makes an object", async () => {
    const prefix = "x-amz-server-side-encryption";
    const names = [prefix, `${prefix}-aws-kms-key-id`, `${prefix}-bucket-key-enabled`];
    const sse = { algorithm: "aws:kms", kmsKeyId: "alias/k", bucketKey: true } as const;
    const headers = { "x-amz-tagging": "team=a" };
    const found = await sent({ sse, headers }, [...names, "x-amz-tagging"]);
    const [algorithm = "", id = "", bucketKey = ""] = names;
    const creating = { [algorithm]: "aws:kms", [id]: "alias/k", [bucketKey]: "true", ...headers };
    for (const name of ALL) {
      expect(found.get(name), name).toEqual(/^(PUT|POST uploads)$/.test(name) ? creating : {});
    }
  });

  test("a customer's key: whatever reads or writes bytes", async () => {
    const customerKey = new Uint8Array(32).fill(7);
    const prefix = "x-amz-server-side-encryption-customer-";
    const names = ["algorithm", "key", "key-md5"].map((name) => prefix + name);
    const found = await sent({ sse: { customerKey } }, names);
    const md5 = createHash("md5").update(customerKey).digest("base64");
    const values = ["AES256", Buffer.from(customerKey).toString("base64"), md5];
    const all = Object.fromEntries(names.map((name, index) => [name, values[index]]));
    for (const name of ALL) {
      const isAboutBytes = /^(GET|PUT|HEAD|POST uploads|PUT partNumber)$/.test(name);
      expect(found.get(name), name).toEqual(isAboutBytes ? all : {});
    }
  });

  test("bodies have a checksum, as buckets with Object Lock demand", async () => {
    const found = await sent({}, ["content-md5"]);
    const md5 = (body: Uint8Array): string => createHash("md5").update(body).digest("base64");
    expect(found.get("PUT")).toEqual({ "content-md5": md5(bytes("a")) });
    const parts = [5 * MIB, MIB].map((length) => ({ "content-md5": md5(new Uint8Array(length)) }));
    expect(parts).toContainEqual(found.get("PUT partNumber"));
  });
});

test.each([
  [{ headers: { "If-Match": "x" } }, /the store itself sets "if-match"/],
  [{ headers: { "content-md5": "x" } }, /the store itself sets/],
  [{ headers: { "x-amz-meta-opslog-upload": "x" } }, /the store itself sets/],
  [{ headers: { "x-y": "a\n" } }, /with a text that it cannot/],
  [{ headers: { "x y": "a" } }, /names and texts that HTTP can represent, found "x y"/],
  [{ sse: { customerKey: new Uint8Array(16) } }, /must be 32 bytes/],
  [{ sse: { algorithm: "AES256", kmsKeyId: "k" } as const }, /need a KMS algorithm/],
  [{ sse: { algorithm: "aws:kms", kmsKeyId: "a\nb" } as const }, /HTTP can represent/],
])("%j is refused", (options, message) => {
  expect(() => headersFor(options)).toThrow(InvalidArgumentError);
  expect(() => headersFor(options)).toThrow(message);
});
