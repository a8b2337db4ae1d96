/** Each way in which a medium can ignore preconditions is found. */
import { beforeEach, describe, expect, test } from "vitest";
import { probePath } from "../../src/format/paths.ts";
import { probe } from "../../src/storage/probe.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import { AskedMedium, ignoring } from "./asked-medium.ts";

let medium: AskedMedium;
beforeEach(async () => {
  medium = new AskedMedium();
  await medium.initialize();
});

describe("a probe", () => {
  const run = (): Promise<string | undefined> => {
    const pathOf = (rand: string): string => probePath(3, rand);
    return probe(medium, { runtime: manualRuntime(), pathOf, timeoutMs: 1_000 });
  };

  test("finds nothing wrong with a medium that honours preconditions, and cleans up", async () => {
    expect(await run()).toBeUndefined();
    expect(medium.calls).toHaveLength(5);
    expect(await medium.paths()).toEqual([]);
  });

  test("finds creates that are ignored", async () => {
    medium.effective = ignoring;
    expect(await run()).toBe("both of two creates of one name were accepted");
    expect(await medium.paths()).toEqual([]);
  });

  test("finds creates that are looked at too early: of two that race both win", async () => {
    let racing = 0;
    medium.answer = async ({ path, precondition }, put) => {
      const isCreate = precondition !== "none" && "ifAbsent" in precondition;
      if (!isCreate || (await medium.shared.get(path)).status === "found") return put();
      // Both have looked by now.
      if (++racing % 2 === 1) await Promise.resolve();
      return medium.shared.put(path, new Uint8Array([racing]), "none");
    };
    expect(await run()).toBe("both of two creates of one name were accepted");
  });

  test("finds creates that are refused only while they race", async () => {
    let creates = 0;
    medium.effective = (precondition) =>
      precondition !== "none" && "ifAbsent" in precondition && ++creates % 3 === 0
        ? "none"
        : precondition;
    expect(await run()).toBe("a create of a name that exists was accepted");
  });

  test("finds swaps that are ignored", async () => {
    medium.effective = (how) => (how !== "none" && "ifMatch" in how ? "none" : how);
    expect(await run()).toBe("a swap by an outdated etag was accepted");
  });

  test("finds swaps that are always refused", async () => {
    medium.effective = (how) => (how !== "none" && "ifMatch" in how ? { ifMatch: "x" } : how);
    expect(await run()).toBe("a swap by the current etag was refused");
  });

  test("whose object a collector deletes meanwhile begins again", async () => {
    let puts = 0;
    medium.answer = async ({ path }, put) => {
      if (++puts === 3) await medium.shared.delete([path]);
      return put();
    };
    expect(await run()).toBeUndefined();
  });

  test("whose writes are all delivered twice, and answered the second time, finds nothing wrong", async () => {
    medium.answer = async (_sent, put) => {
      await put();
      return put();
    };
    expect(await run()).toBeUndefined();
    expect(await medium.paths()).toEqual([]);
  });
});
