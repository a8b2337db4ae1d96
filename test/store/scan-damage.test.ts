/** Scans and lookups of a lazy store over objects that are damaged, gone, or not what they were. */
import type { Compression } from "../../src/core/compression.ts";
import { describe, expect, test } from "vitest";
import { flip } from "../runs/support.ts";
import { type Fixture, setUp } from "./fixture.ts";
import { directoryMedium, memoryMedium } from "./media.ts";
import { type Kind, namesOf, rawFiles } from "./raw-files.ts";
import { AT_ONCE, compactAway, fill, idsBelow, taken } from "./streamed.ts";
import { watchBackend } from "./watched-backend.ts";
import type { Store } from "../../src/store/store.ts";

const COUNT = 1_000;

const MEDIA = [
  ["memory", memoryMedium],
  ["a directory", directoryMedium],
] as const;

describe.each(MEDIA)("on %s", (_, makeMedium) => {
  /** A run of a thousand records of 1 KB, read by nobody yet. */
  async function filled(compression: Compression = "deflate"): Promise<Fixture> {
    const fixture = await setUp(makeMedium);
    const store = await fixture.open({ agentId: "a", ...AT_ONCE, compression });
    await fill(store, COUNT, 1_000);
    await store.compact();
    return fixture;
  }

  function cold({ open, medium }: Fixture): Promise<Store<unknown>> {
    const { backend } = watchBackend(medium.backend());
    return open({ readOnly: true, skipLoad: true, backend });
  }

  async function replace(fixture: Fixture, kind: Kind, change: (bytes: Buffer) => Buffer) {
    const files = await rawFiles(fixture.medium);
    const [name = ""] = await namesOf(files, kind);
    await files.write(name, change(await files.read(name)));
    return name;
  }

  test.each([
    ["none", 32 * 1024],
    ["deflate", 1_024],
  ] as const)(
    "a damaged block (%s) ends a scan with its object and offset, after all that is before",
    async (compression, blockBytesMax) => {
      const fixture = await filled(compression);
      let at = 0;
      const path = await replace(fixture, "run", (bytes) =>
        flip(bytes, (at = bytes.length >> 1), 1),
      );
      for (const reverse of [false, true]) {
        const store = await cold(fixture);
        const given: string[] = [];
        const scan = async (): Promise<void> => {
          for await (const [id] of store.scan({ reverse })) given.push(id);
        };
        const error: unknown = await scan().catch((reason: unknown) => reason);
        expect(error).toMatchObject({ code: "CORRUPTION", path });
        const { offset } = Object(error);
        expect(offset <= at && offset > at - blockBytesMax).toBe(true);
        const ids = reverse ? idsBelow(COUNT).toReversed() : idsBelow(COUNT);
        expect(given.length).toBeGreaterThan(350);
        expect(given).toEqual(ids.slice(0, given.length));
        // What lies elsewhere is still there.
        const end = await taken(store.scan({ from: "r00990", reverse }));
        expect(end).toHaveLength(10);
      }
    },
  );

  test("without its index a run is scanned all the same, in both directions", async () => {
    const fixture = await filled();
    await replace(fixture, "index", (bytes) => bytes.subarray(0, -20));
    for (const reverse of [false, true]) {
      const store = await cold(fixture);
      const within = await taken(store.scan({ from: "r00100", to: "r00200", reverse }));
      const ids = idsBelow(COUNT).slice(100, 200);
      expect(within.map(([id]) => id)).toEqual(reverse ? ids.toReversed() : ids);
    }
    expect(fixture.warnings.join()).toContain("without its index");
  });

  test("a run cut short is reported by a scan and by a lookup", async () => {
    const fixture = await filled();
    const path = await replace(fixture, "run", (bytes) => bytes.subarray(0, -1));
    const store = await cold(fixture);
    const told = { code: "CORRUPTION", path, offset: expect.any(Number) };
    await expect(taken(store.scan())).rejects.toMatchObject(told);
    await expect(store.read("r00500")).rejects.toMatchObject(told);
  });

  test("a lookup goes over to the newer manifest when its run was compacted away", async () => {
    const fixture = await filled();
    const store = await cold(fixture);
    expect(await store.read("r00001")).toBe("x".repeat(1_000));
    const writer = await fixture.open({ agentId: "b", skipLoad: true });
    await writer.set("r00002", "changed");
    await writer.delete("r00003");
    await compactAway(fixture);
    const found = await store.readMany(["r00002", "r00003", "r00900"]);
    expect([...found]).toEqual([
      ["r00002", "changed"],
      ["r00900", "x".repeat(1_000)],
    ]);
  });
});
