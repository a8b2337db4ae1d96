import { describe, expect, test } from "vitest";
import { S3Backend } from "../../src/s3/index.ts";
import { AccessDeniedError, NotSupportedError, UnavailableError } from "../../src/core/errors.ts";
import type { RecordedRequest, ScriptedAnswer } from "../support/recording-proxy.ts";
import { CLIENTS, ok, rejection, s3Error, scriptedWith } from "./support.ts";

function listing(keys: readonly string[], next?: string): ScriptedAnswer {
  const contents = keys.map((key) => `<Contents><Key>${key}</Key><Size>3</Size></Contents>`);
  const token = next === undefined ? "" : `<NextContinuationToken>${next}</NextContinuationToken>`;
  const truncated = `<IsTruncated>${next !== undefined}</IsTruncated>`;
  const head = `${truncated}<EncodingType>url</EncodingType>${token}`;
  return ok(`<ListBucketResult>${head}${contents.join("")}</ListBucketResult>`);
}

function deleted(...errors: readonly (readonly [key: string, code: string])[]): ScriptedAnswer {
  const list = errors.map(([key, code]) => `<Error><Key>${key}</Key><Code>${code}</Code></Error>`);
  return ok(`<DeleteResult>${list.join("")}</DeleteResult>`);
}

describe.each(CLIENTS)("with the %s client:", (client) => {
  const scripted = scriptedWith(client);

  test("list follows pages, repeats a failed one and decodes keys", async () => {
    await using s3 = await scripted([
      listing(["store/ops/a%20b", "store/ops/c%2Bd+e"], "next"),
      s3Error(500, "InternalError"),
      listing(["store/ops/%C3%A9%25"]),
    ]);
    const pages = [];
    for await (const page of s3.backend.list("ops/")) pages.push(page);
    expect(pages.map(({ truncated }) => truncated)).toEqual([true, false]);
    const paths = pages.flatMap(({ objects }) => objects.map(({ path }) => path));
    expect(paths).toEqual(["ops/a b", "ops/c+d e", "ops/é%"]);
    const tokens = s3.requests.map(({ query }) => query.get("continuation-token"));
    expect(tokens).toEqual([null, "next", "next"]);
    expect(s3.requests[0]?.query.get("prefix")).toBe("store/ops/");
  });

  test("list begins behind a path, and goes on by the server's token", async () => {
    await using s3 = await scripted([
      listing(["store/ops/8/a"], "next"),
      listing(["store/ops/9/b"]),
      listing(["store/ops/8/a"]),
    ]);
    expect(s3.backend.listsInOrder).toBe(true);
    const paths = [];
    for await (const { objects } of s3.backend.list("ops/", { after: "ops/8/" }))
      paths.push(...objects.map(({ path }) => path));
    for await (const { objects } of s3.backend.list("ops/", {}))
      paths.push(...objects.map(({ path }) => path));
    expect(paths).toEqual(["ops/8/a", "ops/9/b", "ops/8/a"]);
    const sent = s3.requests.map(({ query }) =>
      ["start-after", "continuation-token"].map((name) => query.get(name)),
    );
    expect(sent).toEqual([
      ["store/ops/8/", null],
      [null, "next"],
      [null, null],
    ]);
  });

  test("list leaves out keys that no path can name, such as folder markers", async () => {
    const keys = ["store/", "store/ops/", "store/ops//x", "store/ops/x"];
    await using s3 = await scripted([listing(keys)]);
    for await (const { objects } of s3.backend.list("")) {
      expect(objects.map(({ path }) => path)).toEqual(["ops/x"]);
    }
  });

  test.each([
    ["encoded, without saying so", "<Key>store%2Fops%2Fx</Key>", ""],
    ["encoded twice", "<Key>store%252Fops%252Fx</Key>", "url"],
    ["as they are, said to be encoded, and no encoding", "<Key>store/ops/100%</Key>", "url"],
    ["of another prefix", "<Key>store2/ops/x</Key>", "url"],
    ["of the prefix above", "<Key>store/manifest.json</Key>", "url"],
  ])("list refuses keys %s: they would be left out in silence", async (_how, key, encoding) => {
    const type = encoding === "" ? "" : `<EncodingType>${encoding}</EncodingType>`;
    const contents = `<Contents>${key}<Size>3</Size></Contents>`;
    const page = `<IsTruncated>false</IsTruncated>${type}${contents}`;
    await using s3 = await scripted([ok(`<ListBucketResult>${page}</ListBucketResult>`)]);
    const drain = async (): Promise<void> => {
      for await (const listed of s3.backend.list("ops/")) expect(listed).toBeDefined();
    };
    const error = await rejection(drain());
    expect(error).toBeInstanceOf(NotSupportedError);
    expect(String(error)).toContain('expected keys below "store/ops/"');
  });

  test("list does not end quietly at a truncated page without a successor", async () => {
    const body = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
    await using s3 = await scripted([ok(body)]);
    const drain = async (): Promise<void> => {
      for await (const page of s3.backend.list("ops/")) expect(page).toBeDefined();
    };
    expect(await rejection(drain())).toBeInstanceOf(UnavailableError);
  });

  test("delete sends a thousand keys a request, and a lone one by itself", async () => {
    await using s3 = await scripted(({ method }) =>
      method === "POST" ? deleted() : { status: 204, body: "" },
    );
    await s3.backend.delete(Array.from({ length: 2_001 }, (_, n) => `ops/${n}`));
    const kinds = s3.requests.map(({ method, path }) => `${method} ${path}`).toSorted();
    const expected = ["DELETE /bucket/store/ops/2000", "POST /bucket", "POST /bucket"];
    expect(kinds).toEqual(expected.map((kind) => expect.stringContaining(kind)));
  });

  test("delete repeats just the keys a 200 answer could not delete", async () => {
    const bodies: number[] = [];
    const answers = [deleted(["store/b", "InternalError"], ["store/c", "NoSuchKey"]), deleted()];
    await using s3 = await scripted((request: RecordedRequest) => {
      bodies.push(request.bytesUp);
      return answers.shift();
    });
    await s3.backend.delete(["a", "b", "c"]);
    expect(s3.seen()).toBe("POST 200 POST 200");
    expect(bodies[1]).toBeLessThan(bodies[0] ?? 0);
  });

  test("delete throws for a key that may not be deleted, and names it", async () => {
    await using s3 = await scripted([deleted(["store/b", "AccessDenied"])]);
    const error = await rejection(s3.backend.delete(["a", "b"]));
    expect(error).toBeInstanceOf(AccessDeniedError);
    expect(error).toMatchObject({ path: "b" });
  });

  test.each([
    [501, "NotImplemented"],
    [400, "BadDigest"],
    [400, "InvalidRequest"],
  ])("delete goes one by one for good after %i %s to DeleteObjects", async (status, code) => {
    await using s3 = await scripted(({ method }) =>
      method === "POST" ? s3Error(status, code) : { status: 204, body: "" },
    );
    await s3.backend.delete(["a", "b", "c"]);
    await s3.backend.delete(["d", "e"]);
    const paths = s3.requests.filter(({ method }) => method === "DELETE").map(({ path }) => path);
    expect(paths.toSorted()).toEqual(
      ["a", "b", "c", "d", "e"].map((key) => `/bucket/store/${key}`),
    );
    expect(s3.requests.filter(({ method }) => method === "POST")).toHaveLength(1);
  });
});

test("a directory bucket lists in no order, others in order", async () => {
  for (const [bucket, inOrder] of [
    ["logs--use1-az4--x-s3", false],
    ["logs-x-s3", true],
  ] as const) {
    const backend = new S3Backend({ bucket });
    await backend.initialize("store", { readOnly: true });
    expect(backend.listsInOrder).toBe(inOrder);
    await backend.shutdown();
  }
});
