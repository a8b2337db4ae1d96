/** The lock file holds the packages of every platform, not only of the one that wrote it. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { projectDirectory } from "../functions/support.ts";

type Names = Readonly<Record<string, string>>;

interface LockedPackage {
  readonly dependencies?: Names;
  readonly devDependencies?: Names;
  readonly optionalDependencies?: Names;
  readonly peerDependencies?: Names;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}
type Locked = Readonly<Record<string, LockedPackage>>;

/** What a package asks for, as npm installs it: all but peers that are optional. */
function namesAskedFor(from: LockedPackage): string[] {
  const { peerDependencies = {}, peerDependenciesMeta = {} } = from;
  const peers = Object.keys(peerDependencies).filter(
    (name) => !peerDependenciesMeta[name]?.optional,
  );
  const all = { ...from.dependencies, ...from.devDependencies, ...from.optionalDependencies };
  return [...Object.keys(all), ...peers];
}

/** Where Node, and npm, would find `name` from the package at `from`. */
function* placesOf(name: string, from: string): Generator<string> {
  for (let at = from; at !== ""; at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")))) {
    yield `${at}/node_modules/${name}`;
    if (!at.includes("/node_modules/")) break;
  }
  yield `node_modules/${name}`;
}

function missingFrom(locked: Locked): string[] {
  return Object.entries(locked).flatMap(([path, found]) =>
    namesAskedFor(found)
      .filter((name) => ![...placesOf(name, path)].some((place) => Object.hasOwn(locked, place)))
      .map((name) => `${name}, asked for by ${path || "package.json"}`),
  );
}

const { packages }: { packages: Locked } = JSON.parse(
  await readFile(join(projectDirectory, "package-lock.json"), "utf8"),
);

test("every dependency of every package is locked, those of other platforms, too", () => {
  expect(missingFrom(packages)).toEqual([]);
  for (const os of ["darwin", "win32", "linux"]) {
    expect(Object.keys(packages)).toContainEqual(
      expect.stringMatching(new RegExp(`${os}-(x64|arm64)`)),
    );
  }
});

test("a package that is not locked is found", () => {
  const { "node_modules/@esbuild/darwin-arm64": taken, ...others } = packages;
  expect(taken).toBeDefined();
  expect(missingFrom(others)).toEqual(["@esbuild/darwin-arm64, asked for by node_modules/esbuild"]);
});

test("npm ci accepts it", { timeout: 120_000 }, async () => {
  const args = ["ci", "--dry-run", "--offline", "--ignore-scripts", "--no-audit", "--no-fund"];
  await promisify(execFile)("npm", args, { cwd: projectDirectory });
});
