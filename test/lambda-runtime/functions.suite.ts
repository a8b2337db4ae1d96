/**
 * The functions as they are deployed, under AWS's own runtime client, on the Node versions that
 * Lambda has, over a real S3 server. Nothing that was acknowledged may be lost.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { httpEvent } from "../functions/support.ts";
import { tempDir } from "../support/temp-dir.ts";
import { bundleFunctions, Service, statusOf } from "./service.ts";
import type { Outcome } from "./environment.ts";

const INVOCATIONS = 200;
const CONCURRENT = 64;
const LIST = httpEvent({ method: "GET", target: "/records?limit=1000" });

let bundles: Awaited<ReturnType<typeof tempDir>>;

beforeAll(async () => {
  bundles = await tempDir();
  await bundleFunctions(bundles.path);
});

afterAll(() => bundles[Symbol.asyncDispose]());

const VARIANTS = ([22, 24] as const).flatMap((node) =>
  (["sdk", "light"] as const).map((client) => ({ node, client })),
);

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

function recordsOf(outcome: Outcome): unknown[] {
  expect(statusOf(outcome)).toBe(200);
  const { body }: { body: string } = Object(outcome.kind === "result" ? outcome.value : {});
  const { records }: { records: unknown[] } = JSON.parse(body);
  return records;
}

describe.each(VARIANTS)("on Node $node with the $client client", ({ node, client }) => {
  const start = (): Promise<Service> => Service.start(bundles.path, { node, client });

  test("200 invocations one after the other, with a compactor between them", async () => {
    await using service = await start();
    const records = await service.environment();
    const compact = await service.environment("compact");
    for (const n of numbers(INVOCATIONS)) {
      const id = `record-${n % 20}`;
      if (n % 7 === 3) await service.delete(records, id);
      else await service.put(records, id);
      if (n % 50 === 25) {
        expect(await compact.invoke({})).toMatchObject({
          kind: "result",
          value: { outcome: "published", corrupt: 0 },
        });
      }
    }
    // A delete of a record that is not there changes nothing.
    expect(service.count("acknowledged") + service.count("refused")).toBe(INVOCATIONS);
    expect(service.count("acknowledged")).toBeGreaterThan(INVOCATIONS / 2);
    expect(recordsOf(await records.invoke(LIST)).length).toBeGreaterThan(0);
    expect([records.incarnation, compact.incarnation]).toEqual([1, 1]);
    // CloudWatch takes metrics only from lines that are nothing else.
    expect(compact.output).toMatch(/^\{"_aws":/m);
    expect(await service.violations()).toEqual([]);
  });

  test("64 invocations at once in one process", async () => {
    await using service = await start();
    const records = await service.environment("records", { concurrency: { workers: 1 } });
    await Promise.all(numbers(CONCURRENT).map((n) => service.put(records, `record-${n}`)));
    expect(service.count("acknowledged")).toBe(CONCURRENT);
    expect(recordsOf(await records.invoke(LIST))).toHaveLength(CONCURRENT);
    expect(await service.violations()).toEqual([]);
  });

  test("64 at once in four processes, two of them with two workers, and a compactor", async () => {
    await using service = await start();
    const compact = await service.environment("compact");
    const several = { concurrency: { workers: 2 } };
    const environments = [
      await service.environment(),
      await service.environment(),
      await service.environment("records", several),
      await service.environment("records", several),
    ];
    const shared = numbers(CONCURRENT).map(async (n) => {
      const environment = environments[n % environments.length];
      if (environment === undefined) throw new Error("no environment");
      await service.put(environment, `record-${n}`);
    });
    await Promise.all([...shared, compact.invoke({})]);
    expect(service.count("acknowledged")).toBe(CONCURRENT);
    expect(await service.violations()).toEqual([]);
  });

  test("a handler that fails keeps what it had awaited, and reports what it had not", async () => {
    await using service = await start();
    const tasks = await service.environment("tasks");
    const invoke = async (id: string, ending: string): Promise<[string, Outcome]> => {
      const tag = service.nextTag();
      return [tag, await tasks.invoke({ id, tag, ending })];
    };
    const [thrown, failure] = await invoke("thrown", "throw");
    expect(failure).toEqual({ kind: "error", type: "RangeError", message: `after ${thrown}` });
    service.note(thrown, "set", "thrown", "acknowledged");
    const [left, success] = await invoke("left", "leave");
    expect(success).toEqual({ kind: "result", value: "left" });
    service.note(left, "set", "left", "acknowledged");
    const [, refused] = await invoke("", "leave");
    expect(refused).toMatchObject({ kind: "error", type: "InvalidArgumentError" });
    expect(tasks.incarnation).toBe(1);
    const [exited, ended] = await invoke("exited", "exit");
    expect(ended).toEqual({ kind: "ended", why: "exit" });
    service.note(exited, "set", "exited", "acknowledged");
    expect(await service.violations()).toEqual([]);
  });

  test("a handler that is killed at its deadline keeps what it had awaited", async () => {
    await using service = await start();
    const tasks = await service.environment("tasks");
    for (const id of ["cold", "warm"]) {
      const tag = service.nextTag();
      const outcome = tasks.invoke({ id, tag, ending: "hang" }, 4_000);
      await tasks.printed(`acknowledged ${tag}\n`);
      service.note(tag, "set", id, "acknowledged");
      expect(await outcome).toEqual({ kind: "ended", why: "timeout" });
    }
    expect(tasks.incarnation).toBe(2);
    expect(await service.violations()).toEqual([]);
  });

  test("a function without its variable loads, and fails by name", async () => {
    await using service = await start();
    const records = await service.environment("compact", { env: { OPSLOG_LOCATION: "" } });
    expect(await records.invoke({})).toMatchObject({
      kind: "error",
      type: "InvalidArgumentError",
      message: expect.stringContaining("OPSLOG_LOCATION"),
    });
    expect(records.initErrors).toEqual([]);
  });
});
