import { MemoryBackend, UnavailableError, verify } from "opslog-serverless";
import { createCompactor, withStore } from "opslog-serverless/lambda";
import { describe, expect, test } from "vitest";
import { lambdaContext, MEDIA, type Medium, readAll, rejection } from "./support.ts";

async function writeRecords(
  { location, backend }: Pick<Medium, "location" | "backend">,
  count: number,
): Promise<void> {
  const handler = withStore<number, number>({ location, backend }, (n, _context, store) =>
    store.set(`r${n}`, n),
  );
  for (let n = 0; n < count; n++) await handler(n, lambdaContext(`request-${n}`));
}

describe.each(Object.entries(MEDIA))("createCompactor on %s", (_name, open) => {
  test("compacts, reports what it did, and has nothing to do afterwards", async () => {
    await using medium = await open();
    await writeRecords(medium, 3);
    const before = await readAll(medium);
    const lines: string[] = [];
    const handler = createCompactor({ ...medium, metrics: false, log: (line) => lines.push(line) });
    expect(handler).toHaveLength(2);

    const report = await handler({}, lambdaContext());
    expect(report).toMatchObject({ outcome: "published", operations: 3, records: 3, passes: 1 });
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { message: "opslog compaction", location: medium.location, ...report },
    ]);
    expect(await readAll(medium)).toEqual(before);
    const verified = await verify(medium.location, { backend: medium.backend() });
    expect(verified).toMatchObject({ segments: 0, problems: [] });
    expect(await handler({}, lambdaContext())).toMatchObject({ outcome: "idle", operations: 0 });
  });

  test.each([{ awsRequestId: "x" }, {}, undefined])(
    "does the same work for a context that knows no time: %j",
    async (context) => {
      await using medium = await open();
      await writeRecords(medium, 3);
      const handler = createCompactor({ ...medium, metrics: false, log: () => undefined });
      const report: unknown = await Reflect.apply(handler, undefined, [{}, context]);
      expect(report).toMatchObject({ outcome: "published", operations: 3, records: 3 });
    },
  );

  test("two at once, while others write, lose nothing", async () => {
    await using medium = await open();
    const compactors = [1, 2].map(() =>
      createCompactor({ ...medium, metrics: false, log: () => undefined }),
    );
    await writeRecords(medium, 5);
    await Promise.all([
      writeRecords(medium, 20),
      ...compactors.map(async (compact) => {
        for (let pass = 0; pass < 5; pass++) await compact({}, lambdaContext());
      }),
    ]);
    expect(new Map(await readAll(medium))).toEqual(
      new Map(Array.from({ length: 20 }, (_, n) => [`r${n}`, n])),
    );
  });
});

/** Another compactor publishes first, so many times. */
class Racing extends MemoryBackend {
  races: number;

  constructor(races: number) {
    super();
    this.races = races;
  }

  override async put(...args: Parameters<MemoryBackend["put"]>): ReturnType<MemoryBackend["put"]> {
    const [path] = args;
    if (path !== "manifest.json" || this.races-- <= 0) return super.put(...args);
    return { status: "conflict", dateMs: Date.now() };
  }
}

describe("createCompactor", () => {
  test("continues after a lost race while there is time", async () => {
    const backend = new Racing(2);
    const options = {
      location: "store",
      backend: () => backend,
      metrics: false,
      log: () => undefined,
    };
    await writeRecords(options, 2);
    const compact = createCompactor(options);
    expect(await compact({}, lambdaContext())).toMatchObject({ outcome: "published", passes: 3 });
  });

  test("starts no further pass when less than 20 s are left", async () => {
    const backend = new Racing(1);
    const options = {
      location: "store",
      backend: () => backend,
      metrics: false,
      log: () => undefined,
    };
    await writeRecords(options, 2);
    const compact = createCompactor(options);
    const lost = await compact({}, lambdaContext("request-1", 19_999));
    expect(lost).toMatchObject({ outcome: "lost", passes: 1, operations: 0 });
    expect(await compact({}, lambdaContext())).toMatchObject({ outcome: "published", passes: 1 });
  });

  test("a race lost again and again ends", async () => {
    const backend = new Racing(Infinity);
    const options = {
      location: "store",
      backend: () => backend,
      metrics: false,
      log: () => undefined,
    };
    await writeRecords(options, 1);
    const compact = createCompactor(options);
    expect(await compact({}, lambdaContext())).toMatchObject({ outcome: "lost", passes: 50 });
  });

  test("a failure is logged with what was done before it, and thrown", async () => {
    class Failing extends MemoryBackend {
      override async get(): Promise<never> {
        throw new UnavailableError("busy");
      }
    }
    const lines: string[] = [];
    const backend = new Failing();
    const log = (line: string): number => lines.push(line);
    const compact = createCompactor({ location: "store", backend, metrics: false, log });
    expect(await rejection(compact({}, lambdaContext()))).toBeInstanceOf(UnavailableError);
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        message: "opslog compaction",
        location: "store",
        cost: expect.objectContaining({ roundTrips: 1 }),
        error: "UnavailableError: busy",
      },
    ]);
  });

  test("names a missing location at the invocation", async () => {
    const compact = createCompactor({ location: undefined, metrics: false, log: () => undefined });
    expect(await rejection(compact({}, lambdaContext()))).toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining("OPSLOG_LOCATION"),
    });
  });
});
