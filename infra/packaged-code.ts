/** The code of the compactor's function, as the published package holds it. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { IgnoreMode } from "aws-cdk-lib";
import { Code } from "aws-cdk-lib/aws-lambda";
import { InvalidArgumentError } from "opslog-serverless";

const PROGRAM = "compact.js";
/** `npm run build` writes the program there: beside the CommonJS build, whose chunks it shares. */
const DIRECTORIES = ["../cjs/", "../"].map((path) => fileURLToPath(new URL(path, import.meta.url)));
const LIGHT = ["lambda", "lambda/light", "lambda/light/index.js"];
const PARTS = [PROGRAM, "package.json", "chunks", "chunks/**", ...LIGHT];

/** @throws InvalidArgumentError where the package was not built */
export function packagedCode(): Code {
  const directory = DIRECTORIES.find((each) => existsSync(`${each}${PROGRAM}`));
  if (directory === undefined) {
    throw new InvalidArgumentError(
      `the compactor's program is missing: expected ${DIRECTORIES[0]}${PROGRAM}; run ` +
        "`npm run build` in a checkout of opslog-serverless, leave the package unbundled, or set " +
        "compactor.code",
    );
  }
  const exclude = ["*", ...PARTS.map((part) => `!${part}`)];
  return Code.fromAsset(directory, { exclude, ignoreMode: IgnoreMode.GIT });
}
