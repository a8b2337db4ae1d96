/** What fails before a request has left this process wrote nothing, whatever was asked for. */
import { describe, expect, test } from "vitest";
import { AccessDeniedError, UnavailableError } from "../../src/core/errors.ts";
import { S3Client } from "@aws-sdk/client-s3";
import { S3Backend } from "../../src/s3/index.ts";
import { LightS3Backend } from "../../src/s3/light/index.ts";
import { classifyError } from "../../src/s3/requests/errors.ts";
import type { StorageBackend } from "../../src/storage/backend.ts";
import { bytes, CLIENTS, rejection, virtualRuntime } from "./support.ts";

const KEY = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "very-secret" };

type Credentials = typeof KEY & { readonly sessionToken?: string };

describe.each(CLIENTS)("with the %s client:", (name) => {
  async function backendWith(credentials: Credentials): Promise<[StorageBackend, number[]]> {
    const server = { endpoint: "http://127.0.0.1:9", region: "us-east-1" };
    const { runtime, options } = { runtime: virtualRuntime(), options: { bucket: "bucket" } };
    const client = new S3Client({ ...server, credentials, maxAttempts: 1 });
    const backend =
      name === "SDK"
        ? new S3Backend({ client, runtime, ...options })
        : new LightS3Backend({ ...server, ...options, credentials, runtime });
    await backend.initialize("any", { readOnly: false });
    return [backend, runtime.pausesMs];
  }

  test.each([
    ["key id", { ...KEY, accessKeyId: `${KEY.accessKeyId}\n` }],
    ["key id with a space beyond Latin-1", { ...KEY, accessKeyId: `${KEY.accessKeyId}\u2003` }],
    ["session token", { ...KEY, sessionToken: "token\r\n" }],
  ])("a %s that no header can hold is told at once, as credentials", async (_what, credentials) => {
    const [backend, pausesMs] = await backendWith(credentials);
    for (const call of [backend.get("x"), backend.put("x", bytes("x"), { ifAbsent: true })]) {
      const error = await rejection(call);
      expect(error).toBeInstanceOf(AccessDeniedError);
      expect(String(error)).toContain("a line break at the end");
      expect(String(error)).not.toContain(KEY.accessKeyId);
    }
    expect(pausesMs).toEqual([]);
  });

  test("a put without a connection wrote nothing", async () => {
    const [backend] = await backendWith(KEY);
    const error = await rejection(backend.put("x", bytes("x"), "none", { timeoutMs: 1 }));
    expect(error).toBeInstanceOf(UnavailableError);
  });
});

test.each([
  [{ code: "EMFILE", syscall: "connect" }, "refused"],
  [{ code: "EADDRNOTAVAIL", syscall: "connect" }, "refused"],
  [{ code: "ETIMEDOUT", syscall: "connect" }, "refused"],
  [{ code: "ENOTFOUND", syscall: "getaddrinfo" }, "refused"],
  [{ code: "ETIMEDOUT", syscall: "read" }, "unknown"],
  [{ code: "ECONNRESET", syscall: "read" }, "unknown"],
  [{ code: "ERR_UNESCAPED_CHARACTERS" }, "rejected"],
  [{ code: "ERR_INVALID_CHAR" }, "rejected"],
])("%j of a request is %s", (fields, kind) => {
  expect(classifyError(Object.assign(new Error("it failed"), fields), true).kind).toBe(kind);
});
