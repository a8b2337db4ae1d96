/** Stored bytes that are not what was written: told by name, nothing overwritten, nothing lost. */
import { describe, expect, test } from "vitest";
import { CorruptionError, FormatVersionError } from "../../src/core/errors.ts";
import { compact } from "../../src/compaction/compact.ts";
import { flip } from "../runs/support.ts";
import { type Fixture, setUp } from "./fixture.ts";
import { directoryMedium, memoryMedium } from "./media.ts";
import { dataOf, type Kind, namesOf, type RawFiles, rawFiles } from "./raw-files.ts";

type Filled = Fixture & { readonly files: RawFiles; readonly all: [string, unknown][] };

const MEDIA = [
  ["memory", memoryMedium],
  ["a directory", directoryMedium],
] as const;

/** Every way into a store; each must refuse, or tell the truth. */
function entrances({ medium, open }: Fixture): [string, () => Promise<unknown>][] {
  const backend = (): { readonly backend: ReturnType<typeof medium.backend> } => ({
    backend: medium.backend(),
  });
  return [
    ["open", () => open({ checkpointOnClose: false })],
    ["open lazily", () => open({ skipLoad: true })],
    ["open as agent", () => open({ agentId: "a", checkpointOnClose: false })],
    ["open readOnly", () => open({ readOnly: true })],
    ["compact", () => compact(medium.location, backend())],
  ];
}

async function refusal(call: () => Promise<unknown>): Promise<unknown> {
  return call().then(
    () => "it was accepted",
    (error: unknown) => error,
  );
}

async function one(files: RawFiles, kind: Kind): Promise<string> {
  const [name, ...others] = await namesOf(files, kind);
  if (name === undefined || others.length > 0) throw new Error(`expected one ${kind}`);
  return name;
}

describe.each(MEDIA)("on %s", (_, makeMedium) => {
  /** Forty records in a run of several blocks, two in the log. */
  async function fill(): Promise<Filled> {
    const fixture = await setUp(makeMedium);
    const store = await fixture.open({ checkpointOnClose: false });
    await store.batch(() => {
      for (let n = 0; n < 40; n++) void store.set(`r${n}`, { n, text: "x".repeat(2_000) });
    });
    await store.compact();
    await store.set("l1", "in the log");
    await store.set("l2", { n: 2 });
    await store.close();
    const files = await rawFiles(fixture.medium);
    return { ...fixture, files, all: await fixture.entries() };
  }

  /** Everything refuses with such an error, and leaves everything where it is. */
  async function expectRefused(
    fixture: Filled,
    type: typeof CorruptionError | typeof FormatVersionError,
    message: string,
  ): Promise<void> {
    const before = await dataOf(fixture.files);
    for (const [name, enter] of entrances(fixture)) {
      const error = await refusal(enter);
      expect(error, `${name}: ${String(error)}`).toBeInstanceOf(type);
      expect(error, name).toMatchObject({
        action: "stop",
        message: expect.stringContaining(message),
      });
    }
    expect(await dataOf(fixture.files)).toEqual(before);
  }

  describe("a foreign file in ops/", () => {
    test.each([
      "ops/ops-1766400000000.2.jsonl",
      "ops/agent-1766400000000.jsonl",
      "ops/notes.jsonl",
      "ops/a/b/c.jsonl",
      "ops/z/ops-1-0123456789abcdef/1-1-1-aaaaaa.jsonl",
    ])("%s keeps the store from opening", async (path) => {
      const fixture = await fill();
      await fixture.files.write(path, '{"ts":"2026","op":"set","id":"x","data":{},"prev":null}\n');
      await expectRefused(fixture, FormatVersionError, path);
      await fixture.files.remove(path);
      expect(await fixture.entries()).toEqual(fixture.all);
    });

    test("of another kind is ignored and left alone", async () => {
      const fixture = await fill();
      const original = "ops/agent-a-1766400000000.jsonl";
      const paths = [original, "ops/README.txt", "ops/0/.keep", "ops/x.jsonl.bak", "other/y.jsonl"];
      for (const path of paths) await fixture.files.write(path, "mine");
      expect(await fixture.entries()).toEqual(fixture.all);
      await compact(fixture.medium.location, { backend: fixture.medium.backend() });
      for (const path of paths) expect(String(await fixture.files.read(path))).toBe("mine");
    });
  });

  describe("a manifest", () => {
    test.each([
      ["garbage", "not a manifest\n"],
      ["empty", ""],
      ["binary", Buffer.from([0, 255, 254, 1, 10])],
      ["an array", "[]\n"],
      ["null", "null\n"],
      ["another object", '{"name":"package.json","version":"1.0.0"}\n'],
      ["without checksum", '{"format":1,"kind":"manifest","generation":3}\n'],
    ])("that is %s is refused", async (_what, content) => {
      const fixture = await fill();
      const name = await one(fixture.files, "manifest");
      const whole = await fixture.files.read(name);
      await fixture.files.write(name, content);
      await expectRefused(fixture, CorruptionError, "manifest.json");
      await fixture.files.write(name, whole);
      expect(await fixture.entries()).toEqual(fixture.all);
    });

    test("of a newer version is reported as such", async () => {
      const fixture = await fill();
      const content = '{"format":5,"kind":"manifest","anything":true}\n';
      await fixture.files.write(await one(fixture.files, "manifest"), content);
      await expectRefused(fixture, FormatVersionError, "format 5");
    });

    test("that is cut short anywhere is refused", async () => {
      const fixture = await fill();
      const name = await one(fixture.files, "manifest");
      const whole = await fixture.files.read(name);
      for (let length = 0; length < whole.length - 1; length += 97) {
        await fixture.files.write(name, whole.subarray(0, length));
        const error = await refusal(() => fixture.entries());
        expect(error, `cut at ${length}`).toBeInstanceOf(CorruptionError);
      }
    });

    test("with any byte flipped is refused", async () => {
      const fixture = await fill();
      const name = await one(fixture.files, "manifest");
      const whole = await fixture.files.read(name);
      for (let at = 0; at < whole.length - 1; at += 29) {
        await fixture.files.write(name, flip(whole, at, 1));
        const error = await refusal(() => fixture.lookUp(["r1"]));
        expect(error, `flipped ${at}`).toMatchObject({ action: "stop" });
      }
    });

    test("that is lost is not taken for a new store: neither by an opening nor by a compaction", async () => {
      const fixture = await fill();
      await compact(fixture.medium.location, { backend: fixture.medium.backend() });
      const live = await fixture.open({ agentId: "live" });
      const manifests = (await fixture.files.names()).filter((name) => name.includes("manifest"));
      for (const name of manifests) await fixture.files.remove(name);
      const before = await dataOf(fixture.files);
      await expect(live.refresh()).rejects.toThrow(CorruptionError);
      await live.close().catch(() => undefined);
      const { location } = fixture.medium;
      const refused = [
        await refusal(() => fixture.open({ agentId: "late", checkpointOnClose: false })),
        await refusal(() => compact(location, { backend: fixture.medium.backend() })),
      ];
      for (const error of refused) {
        expect(error).toBeInstanceOf(CorruptionError);
        expect(String(error)).toContain("manifest.json is missing although snapshots/");
      }
      expect(await dataOf(fixture.files)).toMatchObject(before);
    });
  });

  describe("a run", () => {
    async function expectNeverWrong(fixture: Filled, what: string): Promise<void> {
      const before = await dataOf(fixture.files);
      const run = await one(fixture.files, "run");
      const { medium } = fixture;
      for (const [id, value] of fixture.all.slice(-6)) {
        const found = await refusal(async () => {
          expect((await fixture.lookUp([id])).get(id), what).toEqual(value);
        });
        if (found === "it was accepted") continue;
        expect(found, `${what}: ${String(found)}`).toMatchObject({ action: "stop" });
      }
      const refused = [
        () => fixture.entries(),
        () => compact(medium.location, { backend: medium.backend(), full: true }),
      ];
      for (const call of refused) {
        const error = await refusal(call);
        expect(error, `${what}: ${String(error)}`).toMatchObject({ action: "stop" });
        expect(String(error)).toContain(run);
      }
      // A compaction may have sealed a log file before it met the damage.
      expect(await dataOf(fixture.files), what).toMatchObject(before);
    }

    test("with a byte flipped is never skipped, never copied, never wrong", async () => {
      const fixture = await fill();
      const name = await one(fixture.files, "run");
      const whole = await fixture.files.read(name);
      for (let at = 0; at < whole.length; at += at < 60 ? 11 : 4_013) {
        await fixture.files.write(name, flip(whole, at, 2));
        await expectNeverWrong(fixture, `flipped ${at}`);
      }
      await fixture.files.write(name, whole);
      expect(await fixture.entries()).toEqual(fixture.all);
    });

    test("cut short, too long, or missing is reported", async () => {
      const fixture = await fill();
      const name = await one(fixture.files, "run");
      const whole = await fixture.files.read(name);
      await fixture.files.write(name, whole.subarray(0, -30));
      await expectNeverWrong(fixture, "cut short");
      await fixture.files.write(name, Buffer.concat([whole, Buffer.from("{}\n")]));
      await expectNeverWrong(fixture, "too long");
      await fixture.files.remove(name);
      const error = await refusal(() => fixture.entries());
      expect(error).toBeInstanceOf(CorruptionError);
      expect(String(error)).toContain(`the manifest names ${name}, which is not there`);
      expect(await refusal(() => fixture.lookUp(["r1"]))).toBeInstanceOf(CorruptionError);
    });
  });

  test("an index that is damaged or missing costs time, not answers", async () => {
    const fixture = await fill();
    const name = await one(fixture.files, "index");
    const whole = await fixture.files.read(name);
    const expected = new Map(fixture.all.slice(-6));
    for (let at = 0; at < whole.length; at += 17) {
      await fixture.files.write(name, flip(whole, at, 1));
      expect(await fixture.lookUp(expected.keys()), `flipped ${at}`).toEqual(expected);
    }
    expect(fixture.warnings.join()).toContain("without its index");
    await fixture.files.remove(name);
    expect(await fixture.lookUp(expected.keys())).toEqual(expected);
    expect(await fixture.entries()).toEqual(fixture.all);
  });
});
