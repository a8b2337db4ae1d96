/** Both builds of the package in one process: as two processes, and as one where they share objects. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { runModule } from "../functions/support.ts";
import { projectWithPackage } from "../support/installed-package.ts";

let project: Awaited<ReturnType<typeof projectWithPackage>>;
beforeAll(async () => void (project = await projectWithPackage([])), 120_000);
afterAll(() => project[Symbol.asyncDispose]());

const BOTH = `
  import { createRequire } from "node:module";
  import * as esm from "opslog-serverless";
  const cjs = createRequire(process.cwd() + "/package.json")("opslog-serverless");
  const codeOf = (promise) => promise.then(() => "none", (error) => error.code);
  const print = (value) => console.log(JSON.stringify(value));
`;

async function run(source: string): Promise<unknown> {
  const { stdout } = await runModule(BOTH + source, project.path);
  return JSON.parse(stdout);
}

test("a single writer of one keeps a single writer of the other out", async () => {
  const found = await run(`
    const [first, second] = [await esm.Store.open("locked"), new cjs.Store()];
    const refused = await second.open("locked").catch((error) => error);
    await first.set("a", { n: 1 });
    await first.close();
    await second.open("locked");
    const kept = [await codeOf(first.open("locked")), second.get("a")];
    await second.close();
    const isLocked = refused instanceof esm.LockedError && refused instanceof cjs.LockedError;
    print({ copies: esm.Store !== cjs.Store, code: refused.code, isLocked, kept });
  `);
  expect(found).toEqual({
    copies: true,
    code: "LOCKED",
    isLocked: true,
    kept: ["LOCKED", { n: 1 }],
  });
});

test("they read what the other writes, side by side", async () => {
  const found = await run(`
    const [a, b] = await Promise.all([esm.Store.open("shared", { agentId: "a" }), cjs.Store.open("shared", { agentId: "b" })]);
    for (let n = 0; n < 20; n++) await (n % 2 === 0 ? a : b).set("id-" + n, { n });
    await Promise.all([a.refresh(), b.refresh()]);
    const counts = [a.count(), b.count()];
    await Promise.all([a.close(), b.close()]);
    print(counts);
  `);
  expect(found).toEqual([20, 20]);
});

test("they share a backend: it serves one location, and works until the last has closed", async () => {
  const found = await run(`
    let shutdowns = 0;
    class Backend extends cjs.FsBackend {
      async shutdown() {
        shutdowns++;
        await super.shutdown();
      }
    }
    const backend = new Backend();
    const first = await esm.Store.open("one", { backend, agentId: "a" });
    const second = await cjs.Store.open("one", { backend, agentId: "b" });
    const elsewhere = await codeOf(esm.Store.open("other", { backend }));
    await first.close();
    const before = shutdowns;
    await second.set("a", { n: 1 });
    await second.close();
    print({ elsewhere, before, after: shutdowns });
  `);
  expect(found).toEqual({ elsewhere: "INVALID_ARGUMENT", before: 0, after: 1 });
});

test("errors are recognised across them, and only errors of that class", async () => {
  const found = await run(`
    const raised = new cjs.WriteOutcomeUnknownError("lost");
    const kinds = Object.keys(esm).filter((name) => name.endsWith("Error"));
    const isKind = (error) => kinds.filter((name) => error instanceof esm[name]);
    const strange = Object.assign(new Error("x"), { code: "OUTCOME_UNKNOWN", action: "retry" });
    class Own extends esm.ConflictError {}
    print([
      isKind(raised),
      isKind(new esm.ConflictError("x")),
      isKind(new Own("x")),
      isKind(strange),
      isKind(new Error("x")),
      new esm.ConflictError("x") instanceof Own,
    ]);
  `);
  expect(found).toEqual([
    ["OpslogError", "WriteOutcomeUnknownError"].toSorted(),
    ["ConflictError", "OpslogError"],
    ["ConflictError", "OpslogError"],
    [],
    [],
    false,
  ]);
});

test("a store treats an error of the other build's backend as one of its own", async () => {
  const found = await run(`
    async function codesWith({ MemoryBackend, WriteOutcomeUnknownError }) {
      let [puts, lost] = [0, 0];
      class Backend extends MemoryBackend {
        async put(path, ...rest) {
          const done = await super.put(path, ...rest);
          if (++puts % 3 !== 0) return done;
          lost++;
          throw new WriteOutcomeUnknownError("lost", { path });
        }
      }
      const store = new esm.Store();
      const codes = [await codeOf(store.open("memory", { backend: new Backend() }))];
      for (let n = 0; n < 6; n++) codes.push(await codeOf(store.set("a", { n })));
      codes.push(await codeOf(store.close()));
      return { codes, lost };
    }
    print([await codesWith(cjs), await codesWith(esm)]);
  `);
  const [ofOther, ofOwn] = found as [{ codes: string[]; lost: number }, unknown];
  expect(ofOther).toEqual(ofOwn);
  expect(ofOther.lost).toBeGreaterThan(0);
});
