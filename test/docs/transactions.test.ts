/** The example of transactions, run as it stands in the guide. */
import { join } from "node:path";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { Store } from "../../src/index.ts";
import { projectDirectory } from "../functions/support.ts";
import { tempDir } from "../support/temp-dir.ts";
import { readDocuments, snippetsOf } from "./snippets.ts";

test("a transfer, and a queue with locks", async () => {
  await using directory = await tempDir();
  const snippet = readDocuments()
    .flatMap(snippetsOf)
    .find(({ name }) => name === "docs/concurrency.md#Transactions ts 1");
  const accounts = join(directory.path, "accounts");
  const contents = (snippet?.code ?? "")
    .replace('"./accounts"', JSON.stringify(accounts))
    .replace('"./jobs"', JSON.stringify(join(directory.path, "jobs")))
    // What follows uses the stores.
    .replaceAll("await using", "const");
  const outfile = join(directory.path, "example.mjs");
  await build({
    stdin: { contents, loader: "ts", resolveDir: projectDirectory },
    alias: { "opslog-serverless": join(projectDirectory, "src/index.ts") },
    bundle: true,
    platform: "node",
    format: "esm",
    outfile,
    logLevel: "error",
  });
  const { moved, taken, transfer } = await import(outfile);
  expect(moved).toEqual([true, false]);
  expect(taken).toEqual(["job-{mail}-2", undefined]);
  expect(await transfer("bob", "alice", 100)).toBe(true);
  await using other = await Store.open(accounts, { agentId: "other" });
  expect(await other.transaction((tx) => tx.getMany(["alice", "bob"]))).toEqual(
    new Map([
      ["alice", { cents: 300 }],
      ["bob", { cents: 200 }],
    ]),
  );
});
