/** Bundles the simulation with a mutant in it: the sources themselves stay as they are. */
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { applyEdits, type Mutant, readSource } from "./mutant.ts";

/**
 * @param root the package's directory
 * @param mutant undefined: the sources as they are
 * @throws Error where an edit does not fit the sources
 */
export async function buildHunt(
  root: URL,
  mutant: Mutant | undefined,
  outfile: string,
): Promise<void> {
  await build({
    entryPoints: [fileURLToPath(new URL("test/simulation/mutants/hunt.ts", root))],
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    logLevel: "warning",
    plugins: mutant === undefined ? [] : [mutation(root, mutant)],
    outfile,
  });
}

function mutation(root: URL, mutant: Mutant): Plugin {
  const sources = new URL("src/", root);
  const byPath = new Map(
    mutant.edits.map(({ file }) => [fileURLToPath(new URL(file, sources)), file]),
  );
  return {
    name: "mutation",
    setup({ onLoad }) {
      onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
        const file = byPath.get(path);
        if (file === undefined) return undefined;
        return { contents: applyEdits(file, readSource(file, sources), mutant), loader: "ts" };
      });
    },
  };
}
