import { tempDir } from "../support/temp-dir.ts";
import type { Medium } from "./medium.ts";

export async function directoryMedium(): Promise<Medium> {
  const directory = await tempDir();
  return {
    location: directory.path,
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}
