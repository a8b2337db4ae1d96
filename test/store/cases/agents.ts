/** Several writers at once. */
import { expect, test } from "vitest";
import { InvalidArgumentError } from "../../../src/core/errors.ts";
import { type MakeMedium, setUp } from "../fixture.ts";

/** Sorted by id, because writers at once have no order of their own. */
function sorted(entries: Iterable<[string, unknown]>): [string, unknown][] {
  return [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

export function agentCases(make: MakeMedium): void {
  test("agents write at once, nothing is lost, and all agree in the end", async () => {
    const { open, entries } = await setUp(make);
    const agents = await Promise.all(
      Array.from({ length: 5 }, (_, n) => open({ agentId: `agent ${n}`, skipLoad: n % 2 === 1 })),
    );
    for (let round = 0; round < 4; round++) {
      await Promise.all(
        agents.flatMap((store, n) => [
          store.set(`own ${n}/${round}`, round),
          store.set("shared", { n, round }),
          ...(n === round ? [store.compact()] : []),
        ]),
      );
    }
    const fresh = sorted(await entries());
    expect(fresh).toHaveLength(21);
    for (const store of agents) {
      await store.hydrate();
      await store.refresh();
      expect(sorted(store.entries())).toEqual(fresh);
    }
  });

  test.each([true, false])(
    "a write orders above everything acknowledged before its store opened, skipLoad %s",
    async (skipLoad) => {
      const { open, entries } = await setUp(make);
      for (const agentId of ["z", "m", "a", "0", "Z"]) {
        const store = await open({ agentId, skipLoad, checkpointOnClose: agentId === "m" });
        await store.set("x", agentId);
        await store.close();
        expect(await entries()).toEqual([["x", agentId]]);
      }
    },
  );

  test("agents and one single writer share a store", async () => {
    const { open, entries } = await setUp(make);
    const single = await open({ checkpointOnClose: false });
    await single.set("by single", 1);
    const agent = await open({ agentId: "a" });
    expect(agent.entries()).toEqual([["by single", 1]]);
    await Promise.all([agent.set("by agent", 1), single.set("by single", 2)]);
    await single.compact();
    await agent.set("by agent", 2);
    await single.close();
    await agent.close();
    const expected = [
      ["by agent", 2],
      ["by single", 2],
    ];
    expect(sorted(await entries())).toEqual(expected);
    const plain = await open();
    expect(sorted(plain.entries())).toEqual(expected);
    await plain.set("by single", 3);
    expect(sorted(await entries())[1]).toEqual(["by single", 3]);
  });

  test("two stores under one agentId are two writers", async () => {
    const { open, entries } = await setUp(make);
    const [one, two] = [await open({ agentId: "same" }), await open({ agentId: "same" })];
    await Promise.all([one.set("a", 1), two.set("b", 2), one.set("x", "1"), two.set("x", "2")]);
    const fresh = sorted(await entries());
    expect(fresh.map(([id]) => id)).toEqual(["a", "b", "x"]);
    await one.compact();
    expect(sorted(await entries())).toEqual(fresh);
  });

  test("every agentId is kept inside the store and distinguished", async () => {
    const { medium, open, objects, entries } = await setUp(make);
    const ids = [
      "../../x",
      "/etc/passwd",
      "..",
      "a/b\\c",
      "\u0000\n\r",
      "\u{1f600}",
      "\ud800",
      "__proto__",
      "%2e%2e%2f",
      "x".repeat(256),
      "\u{1f600}".repeat(128),
    ];
    for (const [n, agentId] of ids.entries()) {
      const store = await open({ agentId, skipLoad: true });
      await store.set(`by ${n}`, n);
    }
    for (const path of (await objects("")).keys()) {
      expect(path).toMatch(/^(ops\/([0-9a-f]\/)?agent-[A-Za-z0-9_]{1,32}-[\w.\-/]+|[\w.-]+)$/);
    }
    expect([...(await medium.contents()).keys()].filter((name) => name.includes(".."))).toEqual([]);
    expect((await entries()).length).toBe(ids.length);
    const agents = [...(await objects("ops/")).values()].map((text): unknown => {
      const header: { agent?: unknown } = JSON.parse(text.split("\n")[0] ?? "");
      return header.agent;
    });
    expect(new Set(agents)).toEqual(new Set(ids));
  });

  test("an agentId that cannot be used is refused: an empty one would take the lock of a single writer", async () => {
    const { medium, open } = await setUp(make);
    const bad: unknown[] = ["", "x".repeat(257), 7, null, {}, ["a"], Object.create(null), true];
    for (const agentId of bad) {
      const opening = open({ agentId: agentId as string });
      await expect(opening).rejects.toThrow(InvalidArgumentError);
      await expect(opening).rejects.toThrow("agentId");
    }
    expect(await medium.contents()).toEqual(new Map());
  });
}
