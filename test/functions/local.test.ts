import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Deferred } from "../../src/core/deferred.ts";
import { readDocuments, snippetsOf } from "../docs/snippets.ts";
import { recordingProxy } from "../support/recording-proxy.ts";
import { tempDir } from "../support/temp-dir.ts";
import { type LocalServer, startLocal } from "./local-server.ts";
import { bundleInto } from "./support.ts";

type TempDir = Awaited<ReturnType<typeof tempDir>>;
let bundles: TempDir;

beforeAll(async () => {
  bundles = await tempDir();
  await bundleInto(bundles.path);
});

afterAll(() => bundles[Symbol.asyncDispose]());

function start(env: Record<string, string>, cwd?: string): LocalServer {
  return startLocal({ bundles: bundles.path, env, cwd });
}

/** Runs a command line that the server printed; status and body of the answer. */
async function runCurl(line: string): Promise<{ status: number; body: string }> {
  const { stdout } = await promisify(execFile)("sh", ["-c", line]);
  const [head = "", body = ""] = stdout.split("\r\n\r\n");
  return { status: Number(head.split(" ")[1]), body };
}

// Each test has a server of its own; some wait for a timer of a second.
describe.concurrent("the local server", () => {
  test("serves the curl lines it prints, and keeps the data over a restart", async () => {
    await using data = await tempDir();
    const first = start({ OPSLOG_LOCATION: data.path });
    const greeting = await first.printed(/Ctrl-C/);
    expect(greeting).toContain(`Data in ${data.path}, compacted every 60 s`);
    const lines = greeting.split("\n").filter((line) => line.startsWith("  curl"));
    const [put = "", get = "", list = "", remove = ""] = lines;
    const body = '{"title":"Build API"}';
    expect(await runCurl(put)).toEqual({ status: 201, body });
    expect(await runCurl(get)).toEqual({ status: 200, body });
    expect(await runCurl(list)).toEqual({
      status: 200,
      body: `{"records":[{"id":"task-1","value":${body}}]}`,
    });
    expect(await runCurl(remove)).toEqual({ status: 204, body: "" });
    expect((await runCurl(get)).status).toBe(404);
    expect((await runCurl(put)).status).toBe(201);
    first.child.kill("SIGTERM");
    expect(await first.ended).toBe(0);
    expect(first.text()).toMatch(/GET \/records\/task-1 404 \d+ ms[^]*Stopped/);

    const second = start({ OPSLOG_LOCATION: data.path });
    const port = (await second.printed(/Ctrl-C/)).match(/127\.0\.0\.1:(\d+)/)?.[1] ?? "";
    expect(await runCurl(get.replace(/:\d+\//, `:${port}/`))).toEqual({ status: 200, body });
    second.child.kill("SIGINT");
    expect(await second.ended).toBe(0);
  });

  test("keeps its data in ./data by default, and compacts on a timer", async () => {
    await using directory = await tempDir();
    const server = start({ OPSLOG_COMPACT_SECONDS: "1" }, directory.path);
    const greeting = await server.printed(/Ctrl-C/);
    expect(greeting).toContain(`Data in ${join(directory.path, "data")}, compacted every 1 s`);
    const put = greeting.split("\n").find((line) => line.startsWith("  curl")) ?? "";
    expect((await runCurl(put)).status).toBe(201);
    await server.printed(/^Compacted 1 operations of 1 flushes in \d\.\d s\.$/m);
    expect(server.text()).not.toMatch(/^\{/m);
    server.child.kill("SIGTERM");
    expect(await server.ended).toBe(0);
  });

  test("serves the README's curl lines", async () => {
    await using data = await tempDir();
    const server = start({ OPSLOG_LOCATION: data.path });
    const [, port = ""] = (await server.printed(/Ctrl-C/)).match(/127\.0\.0\.1:(\d+)/) ?? [];
    const snippets = readDocuments().flatMap(snippetsOf);
    const shown = snippets.find(({ name }) => name === "README.md#Try it sh 2")?.code ?? "";
    const answers = [];
    for (const line of shown.split("\n")) {
      answers.push(await runCurl(line.replace("curl ", "curl -si ").replace(":3000", `:${port}`)));
    }
    const body = '{"title":"Build API","done":false}';
    expect(answers).toEqual([
      { status: 201, body },
      { status: 200, body },
      { status: 200, body: `{"records":[{"id":"task-1","value":${body}}]}` },
      { status: 204, body: "" },
    ]);
    server.child.kill("SIGTERM");
    expect(await server.ended).toBe(0);
  });

  test("finishes a request that is under way when it is stopped", async () => {
    await using data = await tempDir();
    const server = start({ OPSLOG_LOCATION: data.path });
    const url = await server.url();
    const body = new TransformStream<Uint8Array, Uint8Array>();
    const writer = body.writable.getWriter();
    const answer = fetch(`${url}/records/a`, {
      method: "PUT",
      body: body.readable,
      duplex: "half",
    });
    await writer.write(Buffer.from('"first half, '));
    // Answered on a connection of its own, after the other has reached the server.
    await (await fetch(`${url}/records`)).text();
    server.child.kill("SIGTERM");
    await expect
      .poll(() =>
        fetch(url).then(
          () => "open",
          () => "closed",
        ),
      )
      .toBe("closed");
    await writer.write(Buffer.from('second half"'));
    await writer.close();
    expect((await answer).status).toBe(201);
    expect(await server.ended).toBe(0);
  });

  test("says when the port is taken", async () => {
    await using data = await tempDir();
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const address = taken.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const server = start({ PORT: `${port}`, OPSLOG_LOCATION: data.path });
    expect(await server.ended).toBe(1);
    expect(server.text()).toContain(`port ${port} of 127.0.0.1 is in use`);
    taken.close();
  });

  test.each([
    [{ PORT: "http" }, /PORT must be a whole number from 0 to 65535, found "http"/],
    [{ OPSLOG_COMPACT_SECONDS: "0" }, /OPSLOG_COMPACT_SECONDS must be a whole number from 1/],
    [{ OPSLOG_LOCATION: "/dev/null/x" }, /Cannot open the directory '\/dev\/null\/x'/],
    [{ OPSLOG_LOCATION: "s3://bucket" }, /Region is missing/],
  ])("with %j it does not start, and says why", async (env, message) => {
    await using directory = await tempDir();
    const server = start(env, directory.path);
    expect(await server.ended).toBe(1);
    expect(server.text()).toMatch(/^Cannot start: [^\n]*\n$/m);
    expect(server.text()).toMatch(message);
    // Once, in a sentence.
    expect(server.text().split(message)).toHaveLength(2);
    expect(server.text()).not.toMatch(/^\{|^ +at /m);
  });

  test("says that a long compaction is under way, and why it failed in one line", async () => {
    await using server = await recordingProxy("http://127.0.0.1:9");
    const told = new Deferred();
    server.fault = async () => {
      await told.promise;
      return { status: 403, body: "<Error><Code>AccessDenied</Code></Error>" };
    };
    await using directory = await tempDir();
    const local = start(
      {
        OPSLOG_LOCATION: "s3://bucket/store",
        AWS_ENDPOINT_URL_S3: server.endpoint,
        AWS_REGION: "us-east-1",
        AWS_ACCESS_KEY_ID: "test",
        AWS_SECRET_ACCESS_KEY: "test",
      },
      directory.path,
    );
    await local.printed(/^Compacting, for \d\.\d s now …$/m);
    told.resolve();
    expect(await local.ended).toBe(1);
    expect(local.text()).toMatch(/^Cannot start: S3 \w+ of s3:\/\/bucket[^\n]*\n$/m);
    expect(local.text()).not.toContain("    at ");
  });

  test("reports a compaction that fails in one line, and continues", async () => {
    await using data = await tempDir();
    const server = start({ OPSLOG_LOCATION: data.path, OPSLOG_COMPACT_SECONDS: "1" });
    await server.printed(/Ctrl-C/);
    await mkdir(join(data.path, "manifests"), { recursive: true });
    await writeFile(join(data.path, "manifests/0000000000000001.json"), "damaged");
    await server.printed(/^Compaction failed, the next is in 1 s: [^\n]+\n/m);
    expect(server.text()).not.toContain("    at ");
    server.child.kill("SIGTERM");
    expect(await server.ended).toBe(0);
  });
});
