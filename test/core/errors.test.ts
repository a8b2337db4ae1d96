import { inspect } from "node:util";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";
import * as errors from "../../src/core/errors.ts";
import { RunGoneError } from "../../src/runs/run-gone.ts";
import { classifyError, RequestError } from "../../src/s3/requests/errors.ts";

type Errors = typeof errors;
const source = fileURLToPath(new URL("../../src/core/errors.ts", import.meta.url));

function make(from: Errors, name: string, details: object = {}): unknown {
  const Class: unknown = Reflect.get(from, name);
  if (typeof Class !== "function") throw new Error(`${name} is no class`);
  return Reflect.construct(Class, ["what failed", details]);
}

async function minified(): Promise<Errors> {
  const bundled = await build({
    entryPoints: [source],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "node",
    write: false,
  });
  const code = Buffer.from(bundled.outputFiles[0]?.contents ?? []).toString("base64");
  return import(`data:text/javascript;base64,${code}`);
}

const names = Object.keys(errors).filter((name) => name !== "OpslogError");

describe("an error", () => {
  test("is named by its class, also where a bundler renames the classes", async () => {
    const bundled = await minified();
    expect(names.length).toBeGreaterThan(15);
    expect(bundled.LockedError.toString()).not.toContain("class LockedError");
    for (const from of [errors, bundled]) {
      for (const name of names) {
        const error = make(from, name);
        expect(error).toMatchObject({ name });
        expect(String(error)).toMatch(new RegExp(`^${name}: .`));
        expect(inspect(error)).toMatch(new RegExp(`^${name}: .+\\n`));
      }
    }
    expect(new RunGoneError("gone").name).toBe("RunGoneError");
  });

  test.each(names)("%s has no field for what it does not concern", (name) => {
    const error = make(errors, name);
    expect(Object.values(Object(error))).not.toContain(undefined);
    expect(inspect(error)).not.toContain("undefined");
  });

  test("names what it concerns", () => {
    const error = new errors.CorruptionError("bad", { path: "ops/1", id: "a", offset: 0 });
    expect(error).toMatchObject({ path: "ops/1", id: "a", offset: 0 });
  });

  test("of S3 has as its cause what the server said, and no empty fields", () => {
    const { cause } = classifyError(new Error("no answer"), true);
    expect(inspect(cause)).not.toContain("undefined");
    const answered = new RequestError({
      name: "AccessDenied",
      message: "no",
      status: 403,
      requestId: "r",
    });
    expect(classifyError(answered, true).cause).toMatchObject({
      status: 403,
      requestId: "r",
    });
  });
});
