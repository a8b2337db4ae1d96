/** What ends up in logs: one line each, and nothing that opens a door. */
import { inspect } from "node:util";
import { expect, test, vi } from "vitest";
import { CorruptionError, RecordNotFoundError } from "../../src/core/errors.ts";
import { safeMessage } from "../../src/core/describe.ts";
import { S3Backend } from "../../src/s3/index.ts";
import { compact } from "../../src/compaction/compact.ts";
import { Store } from "../../src/store/store.ts";
import { verify } from "../../src/store/verify.ts";
import { CLIENTS, rejection, s3Error, scriptedWith } from "../s3/support.ts";
import { setUp } from "../store/fixture.ts";
import { directoryMedium, memoryMedium } from "../store/media.ts";
import { rawFiles } from "../store/raw-files.ts";

const FORGED = "x\nopslog-serverless: all is well\r\u001b[2K\u2028\u202e\u009b";
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/;

test("an id cannot forge a line in an error, nor in its stack", async () => {
  const { open } = await setUp(memoryMedium);
  const store = await open();
  const errors = [
    await rejection(store.delete(FORGED)),
    await rejection(store.set(FORGED, () => 1)),
    new RecordNotFoundError(FORGED),
    await rejection(store.archive(() => true, FORGED)),
  ];
  for (const error of errors) {
    if (!(error instanceof Error)) throw new Error("it was accepted");
    expect(error.message).not.toMatch(UNSAFE);
    expect(error.stack).not.toContain("\nopslog-serverless: all is well");
  }
  expect(errors[2]).toMatchObject({ id: FORGED });
});

test("stored bytes cannot forge a line in the error that quotes them, nor in its cause", async () => {
  const { medium } = await setUp(directoryMedium);
  const files = await rawFiles(medium);
  await files.write("manifests/0000000000000001.json", `{"format":1 \u001b[31m\nERROR: forged`);
  const error = await rejection(Store.open(medium.location, { backend: medium.backend() }));
  expect(error).toBeInstanceOf(CorruptionError);
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    expect(at.message).not.toMatch(UNSAFE);
    expect(at.stack).not.toContain("\nERROR: forged");
  }
});

test("foreign names cannot forge a line in a warning", async () => {
  const fixture = await setUp(memoryMedium);
  const store = await fixture.open({ checkpointOnClose: false, agentId: FORGED });
  await store.set(FORGED, { n: 1 });
  await store.close();
  const files = await rawFiles(fixture.medium);
  const [path = ""] = (await files.names()).filter((name) => name.startsWith("ops/"));
  const whole = await files.read(path);
  await files.write(path, Buffer.concat([whole.subarray(0, -9), Buffer.from(FORGED)]));
  const { location } = fixture.medium;
  const warnings = fixture.warnings;
  const options = {
    backend: fixture.medium.backend(),
    onWarning: (message: string) => void warnings.push(message),
  };
  await compact(location, options);
  await fixture.entries();
  expect(warnings.length).toBeGreaterThan(1);
  for (const warning of warnings) expect(warning).not.toMatch(UNSAFE);
  const { problems } = await verify(location, { backend: fixture.medium.backend() });
  for (const { message } of problems) expect(message).not.toMatch(UNSAFE);
});

test("what a foreign file's name says reaches no error and no log", async () => {
  const { medium, open } = await setUp(directoryMedium);
  await (await open()).close();
  const files = await rawFiles(medium);
  await files.write("ops/x\nERROR: forged\u001b[2K.jsonl", "{}\n");
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  await using store = await Store.open(medium.location, { backend: medium.backend(), onWarning });
  await store.compact();
  expect(warnings).toEqual([]);
  // Names that are read as the store's have no such characters: others are refused by the backend.
  const error = await rejection(medium.backend().readBlob("ops/x\nERROR: forged\u001b[2K.jsonl"));
  expect(inspect(error)).not.toContain("\nERROR: forged");
  expect(inspect(error)).not.toContain("\u001b");
});

test("what goes to the console by default is one line", async () => {
  const { warnOnStderr } = await import("../../src/core/options.ts");
  const write = vi.spyOn(console, "error").mockImplementation(() => undefined);
  warnOnStderr(FORGED);
  const [line] = write.mock.calls[0] ?? [];
  write.mockRestore();
  expect(String(line)).not.toMatch(UNSAFE);
});

const SECRETS = ["very-secret", "session-token", "AKIAIOSFODNN7EXAMPLE", "hunter2", "c2lnbmF0dXJl"];

function expectNoSecret(value: unknown): void {
  for (const shown of [
    inspect(value, { depth: 30, showHidden: true }),
    String(value),
    value instanceof Error ? `${value.stack}` : "",
    JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? String(part) : part)) ??
      "",
  ]) {
    for (const secret of SECRETS) expect(shown).not.toContain(secret);
  }
}

test.each(CLIENTS)(
  "an error of S3 holds no credentials: not the %s client's, not a presigned URL's",
  async (client) => {
    const url =
      "https://bucket.s3.amazonaws.com/x?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F2026" +
      "&amp;X-Amz-Security-Token=session-token&amp;X-Amz-Signature=c2lnbmF0dXJl";
    const extra = `<RequestURL>${url}</RequestURL><Token-0>session-token</Token-0>`;
    for (const [status, code] of [
      [403, "AccessDenied"],
      [400, "ExpiredToken"],
      [400, "InvalidRequest"],
      [500, "InternalError"],
    ] as const) {
      const body = s3Error(status, code, extra).body?.replace("about", `see ${url} about`);
      await using s3 = await scriptedWith(client)([{ status, body: body ?? "" }]);
      for (const call of [
        () => s3.backend.get("x"),
        () => s3.backend.put("x", Buffer.from("y"), "none"),
        () => s3.backend.delete(["x"]),
      ]) {
        expectNoSecret(await rejection(call()));
      }
      expectNoSecret(s3.backend);
    }
  },
);

test("neither a backend nor a location reveals its secrets", async () => {
  const options = {
    region: "us-east-1",
    endpoint: "http://user:hunter2@127.0.0.1:1",
  };
  const backend = new S3Backend(options);
  expectNoSecret(backend);
  for (const location of [
    "s3://AKIAIOSFODNN7EXAMPLE:hunter2@bucket/prefix",
    "https://u:hunter2@h/",
  ]) {
    expectNoSecret(await rejection(Store.open(location, { backend: new S3Backend(options) })));
    expectNoSecret(await rejection(Store.open(location)));
    expectNoSecret(await rejection(verify(location)));
  }
});

test("messages are as they were where there is nothing to hide", () => {
  for (const text of ["Record 'x' not found", 's3://bucket/prefix: é 😀 "q"', "a@b.c //x@y", ""]) {
    expect(safeMessage(text)).toBe(text);
  }
});
