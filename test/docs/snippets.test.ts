/** Each snippet of each document is type-checked against the package as it is published, and run. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { httpEvent, projectDirectory, runModule } from "../functions/support.ts";
import { SYNTH_MS } from "../infra/support.ts";
import { npmPackage, projectWithPackage } from "../support/installed-package.ts";
import { FILES, PRELUDES } from "./snippet-files.ts";
import { anchorsOf, filesOf, linksOf, readDocuments, scriptsOf, snippetsOf } from "./snippets.ts";

const run = promisify(execFile);

const COMPILED = ["ts", "js"];

const documents = readDocuments();
const snippets = documents.flatMap(snippetsOf);
let project: Awaited<ReturnType<typeof projectWithPackage>>;

beforeAll(async () => {
  project = await projectWithPackage([
    "@aws-sdk",
    "@aws-lambda-powertools",
    "@aws",
    "@smithy",
    "@types/node",
    "@types/aws-lambda",
    "undici-types",
    "aws-cdk-lib",
    "constructs",
    "esbuild",
    "typescript",
    "vitest",
  ]);
  await mkdir(join(project.path, "node_modules/.bin"));
  await symlink("../esbuild/bin/esbuild", join(project.path, "node_modules/.bin/esbuild"));
  await writeFile(join(project.path, "package-lock.json"), "{}");
  for (const { name, code } of snippets) {
    const file = FILES[name];
    if (file === undefined) continue;
    await mkdir(dirname(join(project.path, file)), { recursive: true });
    await writeFile(join(project.path, file), `${PRELUDES[name] ?? ""}\n${code}\n`);
  }
}, 120_000);

afterAll(() => project[Symbol.asyncDispose]());

/** Compiles a file of the project; its packages stay imports. */
async function compile(file: string, change = (code: string): string => code): Promise<string> {
  const outfile = join(project.path, `${file}.mjs`);
  const contents = change(await readFile(join(project.path, file), "utf8"));
  await build({
    stdin: { contents, loader: "ts", resolveDir: project.path },
    bundle: true,
    packages: "external",
    platform: "node",
    target: "node20",
    format: "esm",
    outfile,
  });
  return `./${file}.mjs`;
}

async function lastLine(source: string, env?: Record<string, string>): Promise<unknown> {
  const { stdout } = await runModule(source, project.path, env);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

test("every snippet of code has a test below", () => {
  const compiled = snippets.filter(({ language }) => COMPILED.includes(language));
  expect(compiled.map(({ name }) => name).toSorted()).toEqual(Object.keys(FILES).toSorted());
  const others = new Set(snippets.map(({ language }) => language));
  expect([...others].filter((language) => !COMPILED.includes(language)).toSorted()).toEqual([
    "",
    "mermaid",
    "sh",
  ]);
});

test("every snippet compiles against the package's types", { timeout: 120_000 }, async () => {
  const { compilerOptions } = JSON.parse(
    await readFile(join(projectDirectory, "tsconfig.json"), "utf8"),
  );
  const { strict, target, lib, module, moduleResolution } = compilerOptions;
  const options = { strict, target, lib, module, moduleResolution, noUncheckedIndexedAccess: true };
  const config = {
    compilerOptions: { ...options, types: ["node"], noEmit: true, checkJs: true, allowJs: true },
    files: Object.values(FILES),
  };
  await writeFile(join(project.path, "tsconfig.json"), JSON.stringify(config));
  const tsc = join(project.path, "node_modules/typescript/bin/tsc");
  const checked = await run(process.execPath, [tsc, "-p", project.path]).catch(
    (error: { stdout: string }) => error,
  );
  expect(checked.stdout).toBe("");
});

/** The same store in memory, because there is no S3 server. */
function inMemory(code: string): string {
  return code.replace(
    'import { S3Backend } from "opslog-serverless/s3";',
    'import { MemoryBackend as S3Backend } from "opslog-serverless";',
  );
}

describe("runs:", () => {
  test("the first lines, on a directory", async () => {
    const program = await compile("directory.js");
    const { stdout } = await runModule(`await import(${JSON.stringify(program)});`, project.path);
    expect(stdout.trim().split("\n")).toEqual([
      "{ title: 'Build API', done: true }",
      "{ title: 'Build API', done: false }",
    ]);
  });

  test("a follower, which receives what another agent writes", async () => {
    const program = await compile(
      "following.ts",
      (code) =>
        `${code.replaceAll("./data", "./followed")}
      const other = await Store.open<Task>("./followed", { agentId: "other" });
      await other.set("b", { title: "B", done: false });
      await other.delete("a");
      await other.close();
      await follow();
      await store.close();
      export const followed = [...titles];`,
    );
    const followed = await lastLine(`
      const { Store } = await import("opslog-serverless");
      const before = await Store.open("./followed", { agentId: "before" });
      await before.set("a", { title: "A", done: false });
      await before.close();
      const { followed } = await import(${JSON.stringify(program)});
      console.log(JSON.stringify(followed));
    `);
    expect(followed).toEqual([["b", "B"]]);
  });

  test("a counter, a name that one may take, and an edit", async () => {
    const program = await compile("concurrency.ts", (code) =>
      code.replace("await using store", "const store"),
    );
    const answers = await lastLine(`
      const { Store } = await import("opslog-serverless");
      await (await Store.open("./shared")).close();
      const { visits, claim, save } = await import(${JSON.stringify(program)});
      const claims = await Promise.all(["a", "b", "c"].map((owner) => claim("x", owner)));
      const other = await Store.open("./shared", { agentId: "other" });
      const { version } = await other.set("page", { title: "A" }, { ifAbsent: true });
      await save("page", "B", version);
      const late = await save("page", "C", version).catch(({ code }) => code);
      await other.refresh();
      console.log(JSON.stringify({ visits, claims, late, page: other.get("page") }));
    `);
    expect(answers).toEqual({
      visits: { count: 1 },
      claims: [true, false, false],
      late: "CONDITION_FAILED",
      page: { title: "B" },
    });
  });

  test("a webhook that is delivered twice", async () => {
    const program = await compile("once.ts", (code) =>
      code.replace("await using store", "const store"),
    );
    const answers = await lastLine(`
      const { Store } = await import("opslog-serverless");
      await (await Store.open("./shared")).close();
      const { answers, onOrder } = await import(${JSON.stringify(program)});
      const first = await Promise.all(answers.map((answer) => answer.json()));
      const again = await onOrder({ id: "7", cents: 1 });
      const other = await Store.open("./shared", { agentId: "other" });
      const within = await other.once("order-8", async () => (await onOrder({ id: "8", cents: 5 })).status);
      console.log(JSON.stringify({ first, again: await again.json(), within }));
    `);
    expect(answers).toEqual({
      first: [{ receipt: "7-990" }, { receipt: "7-990" }],
      again: { receipt: "7-990" },
      within: 409,
    });
  });

  test("a handler that writes over the version that its client has", async () => {
    const program = await compile("functions/put.ts");
    const answers = await lastLine(
      `
      const { Store } = await import("opslog-serverless");
      const store = await Store.open(process.env.OPSLOG_LOCATION, { agentId: "first" });
      const { version } = await store.set("a", { title: "A" }, { ifAbsent: true });
      await store.close();
      const { put } = await import(${JSON.stringify(program)});
      const context = (id) => ({ awsRequestId: id, getRemainingTimeInMillis: () => 30_000 });
      const edits = Array.from({ length: 20 }, (_, n) =>
        put({ id: "a", title: "B" + n, ifMatch: version }, context("r" + n)),
      );
      const answered = await Promise.all(edits);
      const statuses = answered.map(({ status }) => status).sort();
      console.log(JSON.stringify({ statuses, etags: new Set(answered.map(({ etag }) => etag)).size }));
      `,
      { OPSLOG_LOCATION: join(project.path, "edited") },
    );
    expect(answers).toEqual({ statuses: [200, ...Array(19).fill(412)], etags: 1 });
  });

  test("a function that is idempotent", async () => {
    const program = await compile("functions/charge.ts");
    const answers = await lastLine(`
      const { Store } = await import("opslog-serverless");
      await (await Store.open("./data")).close();
      const { handler } = await import(${JSON.stringify(program)});
      const context = { awsRequestId: "1", getRemainingTimeInMillis: () => 20_000 };
      const answers = [await handler({ id: "7", cents: 990 }, context)];
      answers.push(await handler({ id: "7", cents: 1 }, context));
      console.log(JSON.stringify(answers));
      process.exit();
    `);
    expect(answers).toEqual([{ receipt: "7-990" }, { receipt: "7-990" }]);
  });

  test("a handler that adds, and the compactor", async () => {
    const add = await compile("functions/add.ts");
    const compactor = await compile("functions/compact.ts");
    const answers = await lastLine(
      `
      const { handler: add } = await import(${JSON.stringify(add)});
      const { handler: compact } = await import(${JSON.stringify(compactor)});
      const context = (id) => ({ awsRequestId: id, getRemainingTimeInMillis: () => 30_000 });
      const sums = [];
      for (const amount of [1, 2]) sums.push(await add({ id: "a", amount }, context("r" + amount)));
      const { operations } = await compact({}, context("r3"));
      console.log(JSON.stringify({ sums, operations }));
      `,
      { OPSLOG_LOCATION: join(project.path, "added") },
    );
    expect(answers).toMatchObject({ sums: [1, 3], operations: 2 });
  });

  test("the options of an S3 backend", async () => {
    const made = await compile("s3.ts", (code) =>
      inMemory(code).replace("new S3Backend({", "new S3Backend();\n({"),
    );
    expect(await lastLine(`await import(${JSON.stringify(made)}); console.log(1);`)).toBe(1);
  });

  test("the first handler, behind a Function URL", async () => {
    const handler = await compile("functions/tasks.ts");
    const [url, task] = ["/task-1", { title: "Build API", done: false }];
    const put = (body: string | undefined, target = url) =>
      httpEvent({ method: "PUT", target, body });
    const encoded = Buffer.from(JSON.stringify({ ...task, done: true })).toString("base64");
    const events = [
      put(JSON.stringify(task)),
      httpEvent({ method: "GET", target: url }),
      httpEvent({ method: "GET", target: "/task-2" }),
      httpEvent({ method: "PUT", target: "/task-2", body: encoded, isBase64Encoded: true }),
      httpEvent({ method: "GET", target: "/task-2" }),
      ...["{", "null", "", '{"title":"no done"}', undefined].map((body) => put(body)),
      httpEvent({ method: "GET", target: url }),
    ];
    const answers = await lastLine(`
      const { handler } = await import(${JSON.stringify(handler)});
      const answers = [];
      for (const [at, event] of ${JSON.stringify(events)}.entries()) {
        const context = { awsRequestId: "request-" + at, getRemainingTimeInMillis: () => 10_000 };
        answers.push(await handler(event, context));
      }
      console.log(JSON.stringify(answers));
    `);
    const found = { statusCode: 200, body: JSON.stringify(task) };
    const done = { statusCode: 200, body: JSON.stringify({ ...task, done: true }) };
    const refused = { statusCode: 400, body: "Expected JSON with title and done." };
    expect(answers).toEqual([
      found,
      found,
      { statusCode: 404 },
      done,
      done,
      ...Array.from({ length: 5 }, () => refused),
      found,
    ]);
  });

  test("the block of calls, to its end", async () => {
    const use = await compile("use.ts", inMemory);
    const stored = await lastLine(`
      import { Store } from "opslog-serverless";
      // What the block's last call verifies.
      await (await Store.open("./data")).close();
      await import(${JSON.stringify(use)});
      console.log(JSON.stringify("to its end"));
    `);
    expect(stored).toBe("to its end");
  });

  test("the tests of handlers and backends", { timeout: 120_000 }, async () => {
    const vitest = join(project.path, "node_modules/vitest/vitest.mjs");
    const { stdout } = await run(process.execPath, [vitest, "run"], { cwd: project.path });
    expect(stdout).toMatch(/Test Files.*3 passed/);
  });

  test("the program that bundles, and the command line", async () => {
    await run(process.execPath, ["build.mjs"], { cwd: project.path });
    const command = snippets.find(
      ({ name }) => name === "docs/bundling.md#esbuild to ES modules sh 1",
    );
    await run("sh", ["-c", command?.code.replace("dist/tasks.mjs", "dist/cli.mjs") ?? "false"], {
      cwd: project.path,
    });
    for (const bundle of ["dist/tasks.mjs", "dist/cli.mjs"]) {
      const answer = await lastLine(
        `
        const { handler } = await import("./${bundle}");
        const context = { awsRequestId: "1", getRemainingTimeInMillis: () => 10_000 };
        const event = ${JSON.stringify(httpEvent({ method: "GET", target: "/absent" }))};
        console.log(JSON.stringify(await handler(event, context)));
        `,
        { OPSLOG_LOCATION: join(project.path, "absent") },
      );
      expect(answer, bundle).toEqual({ statusCode: 404 });
    }
  });

  test.each(["stack.ts", "bundling-stack.ts"])(
    "the CDK of %s",
    { timeout: SYNTH_MS },
    async (file) => {
      const stack = await compile(file, (code) => `${code}\napp.synth();`);
      await runModule(`await import(${JSON.stringify(stack)});`, project.path, {
        PATH: process.env["PATH"] ?? "",
        CDK_VALIDATION: "false",
      });
      const template = await readFile(join(project.path, "cdk.out/stack.template.json"), "utf8");
      expect(template).toContain(file === "stack.ts" ? "OPSLOG_LOCATION" : "AWS::Lambda::Function");
    },
  );
});

describe.each(documents.map((document) => [document.path, document] as const))(
  "in %s",
  (path, document) => {
    const at = (target: string): string => join(projectDirectory, target);

    test("links, their anchors, files and scripts are there", () => {
      const links = linksOf(document).map(({ target, anchor }) => {
        return { target: target === "" ? path : join(dirname(path), target), anchor };
      });
      expect(links.filter(({ target }) => !existsSync(at(target)))).toEqual([]);
      const anchored = links.filter(({ target, anchor }) => {
        const linked = documents.find((one) => one.path === target);
        return anchor !== undefined && !(linked && anchorsOf(linked).includes(anchor));
      });
      expect(anchored).toEqual([]);
      const made = Object.values(FILES);
      const files = filesOf(document).filter((file) => !made.includes(file));
      expect(
        files.filter((file) => !existsSync(at(file)) && !existsSync(at(`src/${file}`))),
      ).toEqual([]);
      expect(scriptsOf(document).filter((name) => npmPackage.scripts[name] === undefined)).toEqual(
        [],
      );
    });

    test("commands are those of the shell, of npm's packages, or named as others'", async () => {
      for (const { place, code, language } of snippetsOf(document)) {
        if (language !== "sh") continue;
        await run("sh", ["-n", "-c", code]).catch((error: Error) => {
          throw new Error(`${place}: ${error.message}`);
        });
        for (const [, tool = ""] of code.matchAll(/\bnpx ([\w-]+)/g)) {
          expect(existsSync(at(`node_modules/.bin/${tool}`)), `${place}: npx ${tool}`).toBe(true);
        }
      }
    });
  },
);
