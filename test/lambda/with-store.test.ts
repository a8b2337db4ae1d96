import {
  compact,
  MemoryBackend,
  NotHydratedError,
  NotOpenError,
  RecordNotFoundError,
  type Store,
  UnavailableError,
} from "opslog-serverless";
import { withStore } from "opslog-serverless/lambda";
import { describe, expect, test } from "vitest";
import { watchBackend } from "../store/watched-backend.ts";
import { lambdaContext, MEDIA, readAll, readLog, rejection } from "./support.ts";

describe.each(Object.entries(MEDIA))("withStore on %s", (_name, open) => {
  test("what the handler wrote is there when its result is, awaited or not", async () => {
    await using medium = await open();
    const handler = withStore<number, string, string>(medium, async (event, _context, store) => {
      await store.set("awaited", 1);
      void store.set("not awaited", 2);
      void store.update("updated", () => 3);
      void store.batch(() => {
        void store.set("batched", 4);
      });
      return `${event} done`;
    });
    expect(await handler("event", lambdaContext())).toBe("event done");
    expect(await readAll(medium)).toEqual([
      ["awaited", 1],
      ["batched", 4],
      ["not awaited", 2],
      ["updated", 3],
    ]);
  });

  test("an undo that is not awaited is done when the result is there", async () => {
    await using medium = await open();
    const handler = withStore<number>(medium, async (_event, _context, store) => {
      await store.set("kept", 1);
      await store.set("taken back", 2);
      void store.undo();
    });
    await handler({}, lambdaContext());
    expect(await readAll(medium)).toEqual([["kept", 1]]);
  });

  test("an archive that is not awaited is done when the result is there", async () => {
    await using medium = await open();
    const handler = withStore<number>(medium, async (_event, _context, store) => {
      await store.set("kept", 1);
      await store.set("old", 2);
      await store.hydrate();
      void store.archive((value) => value === 2, "2026-Q4");
    });
    await handler({}, lambdaContext());
    expect(await readAll(medium)).toEqual([["kept", 1]]);
  });

  test("what one invocation read of the snapshots is warm for the next", async () => {
    await using medium = await open();
    const writer = withStore<string>(medium, async (_event, _context, store) => {
      for (let n = 0; n < 200; n++) void store.set(`r${n}`, "x".repeat(1_000));
    });
    await writer({}, lambdaContext());
    await compact(medium.location, { backend: medium.backend() });
    const watched = watchBackend(medium.backend());
    const options = { location: medium.location, backend: watched.backend };
    const reader = withStore<string, string, void>(options, async (id, _context, store) => {
      expect(await store.read(id)).toHaveLength(1_000);
    });
    const readsOf = async (id: string): Promise<number> => {
      const before = watched.calls.length;
      await reader(id, lambdaContext());
      const calls = watched.calls.slice(before);
      return calls.filter((call) => call.startsWith("get snapshots/")).length;
    };
    expect(await readsOf("r100")).toBe(2);
    expect(await readsOf("r100")).toBe(0);
    expect(await readsOf("r101")).toBe(0);
    expect(await readsOf("r7")).toBe(1);
  });

  test("the request id is the agent", async () => {
    await using medium = await open();
    const handler = withStore(medium, (_event, _context, store) => store.set("a", 1));
    await handler({}, lambdaContext("request-é/../7"));
    const [text, ...others] = await readLog(medium);
    expect(others.filter((other) => other !== "")).toEqual([]);
    expect(text).toContain('"agent":"request-é/../7"');
  });

  test("when the handler throws, its error comes out and what it wrote stays", async () => {
    await using medium = await open();
    const failure = new Error("no luck");
    const handler = withStore(medium, async (_event, _context, store) => {
      await store.set("acknowledged", 1);
      void store.set("accepted", 2);
      throw failure;
    });
    expect(await rejection(handler({}, lambdaContext()))).toBe(failure);
    expect(await readAll(medium)).toEqual([
      ["accepted", 2],
      ["acknowledged", 1],
    ]);
  });

  test("a write that failed and was not awaited fails the invocation", async () => {
    await using medium = await open();
    const handler = withStore(medium, async (_event, _context, store) => {
      void store.delete("absent");
      await store.set("present", 1); // By then the deletion has failed.
    });
    expect(await rejection(handler({}, lambdaContext()))).toBeInstanceOf(RecordNotFoundError);
    expect(await readAll(medium)).toEqual([["present", 1]]);
  });

  test("a failed write that the handler dealt with does not", async () => {
    await using medium = await open();
    const handler = withStore(medium, async (_event, _context, store) => {
      void store.delete("absent").catch(() => undefined);
      const [outcome] = await Promise.allSettled([store.delete("absent, too")]);
      return outcome.status;
    });
    expect(await handler({}, lambdaContext())).toBe("rejected");
  });

  test("64 invocations at once in one process lose nothing", async () => {
    await using medium = await open();
    let made = 0;
    const backend = (): ReturnType<typeof medium.backend> => {
      made++;
      return medium.backend();
    };
    const options = { location: medium.location, backend };
    const handler = withStore<string, number, void>(options, async (n, context, store) => {
      await store.set(`record-${n}`, context.awsRequestId);
      expect(await store.read(`record-${n}`)).toBe(context.awsRequestId);
    });
    const numbers = Array.from({ length: 64 }, (_, n) => n);
    await Promise.all(numbers.map((n) => handler(n, lambdaContext(`request-${n}`))));
    expect(new Map(await readAll(medium))).toEqual(
      new Map(numbers.map((n) => [`record-${n}`, `request-${n}`])),
    );
    expect(made).toBe(1);
  });

  test("no invocation compacts, however long the log is", async () => {
    await using medium = await open();
    const handler = withStore<number>(medium, async (_event, _context, store) => {
      for (let n = 0; n < 3; n++) {
        await store.batch(() => {
          for (let id = 0; id < 50; id++) void store.set(`${id}`, n);
        });
      }
      await store.refresh();
      return store.getManifest()?.currentSnapshot;
    });
    await handler({}, lambdaContext());
    expect(await handler({}, lambdaContext())).toBe("manifest.json");
  });

  test("reading what is not resident by a synchronous call is an error, not absence", async () => {
    await using medium = await open();
    await withStore(medium, (_event, _context, store) => store.set("a", 1))({}, lambdaContext());
    const handler = withStore<number>(medium, (_event, _context, store) => store.get("a"));
    expect(await rejection(handler({}, lambdaContext()))).toBeInstanceOf(NotHydratedError);
  });

  test("the store is closed after the invocation", async () => {
    await using medium = await open();
    const kept: Store<number>[] = [];
    const handler = withStore<number>(medium, (_event, _context, store) => kept.push(store));
    await handler({}, lambdaContext());
    expect(() => kept[0]?.get("a")).toThrow(NotOpenError);
  });
});

describe("withStore", () => {
  test("makes a handler with two parameters: Node 24 on Lambda refuses three", () => {
    expect(withStore({ location: "store" }, () => undefined)).toHaveLength(2);
  });

  test.each([undefined, "", " "])("names a missing location (%j) at the invocation", async (l) => {
    const handler = withStore({ location: l }, () => undefined);
    expect(await rejection(handler({}, lambdaContext()))).toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringMatching(/location is missing.*OPSLOG_LOCATION/),
    });
  });

  test("refuses an invocation without a request id, and an option agentId", async () => {
    const options = { location: "store", backend: new MemoryBackend() };
    const handler = withStore(options, () => undefined);
    const refused = { code: "INVALID_ARGUMENT", message: expect.stringContaining("awsRequestId") };
    expect(await rejection(handler({}, lambdaContext("")))).toMatchObject(refused);
    const own = withStore(Object.assign({ agentId: "a" }, options), () => undefined);
    expect(await rejection(own({}, lambdaContext()))).toMatchObject(refused);
  });

  test("a flush that fails reaches the invocation, once, and the next one works", async () => {
    class Failing extends MemoryBackend {
      failures = 1;
      override async put(
        ...args: Parameters<MemoryBackend["put"]>
      ): ReturnType<MemoryBackend["put"]> {
        if (this.failures-- > 0) throw new UnavailableError("busy");
        return super.put(...args);
      }
    }
    const medium = { location: "store", backend: new Failing() };
    const handler = withStore<number>(medium, (_event, _context, store) => {
      void store.set("a", 1);
      void store.set("b", 2);
    });
    expect(await rejection(handler({}, lambdaContext()))).toMatchObject({ message: "busy" });
    await handler({}, lambdaContext("request-2"));
    const { backend } = medium;
    const records = await readAll({ ...medium, backend: () => backend, ...DISPOSABLE });
    expect(records).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
  });

  test("several failures come out together", async () => {
    const options = { location: "store", backend: new MemoryBackend() };
    const failure = new Error("no luck");
    const handler = withStore(options, (_event, _context, store) => {
      void store.delete("absent");
      throw failure;
    });
    const error = await rejection(handler({}, lambdaContext()));
    expect(error).toBeInstanceOf(AggregateError);
    expect(error).toMatchObject({ errors: [failure, expect.any(RecordNotFoundError)] });
  });

  test("a backend is bound once, never shut down, and bound again after a failure", async () => {
    const calls: string[] = [];
    class Observed extends MemoryBackend {
      override async initialize(...args: Parameters<MemoryBackend["initialize"]>): Promise<void> {
        calls.push("initialize");
        if (calls.length === 1) throw new UnavailableError("not yet");
        await super.initialize(...args);
      }
      override async shutdown(): Promise<void> {
        calls.push("shutdown");
      }
    }
    const options = { location: "store", backend: () => new Observed() };
    const handler = withStore(options, () => "fine");
    expect(calls).toEqual([]);
    expect(await rejection(handler({}, lambdaContext()))).toMatchObject({ message: "not yet" });
    expect(await handler({}, lambdaContext())).toBe("fine");
    expect(await handler({}, lambdaContext())).toBe("fine");
    expect(calls).toEqual(["initialize", "initialize"]);
  });
});

const DISPOSABLE = { [Symbol.asyncDispose]: async (): Promise<void> => {} };
