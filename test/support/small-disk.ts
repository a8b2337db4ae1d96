import { execFileSync } from "node:child_process";
import { onTestFinished } from "vitest";
import { tempDir } from "./temp-dir.ts";

/** A file system of 1 MiB; undefined where mounting is not allowed. */
export async function smallDisk(): Promise<string | undefined> {
  const { path, [Symbol.asyncDispose]: remove } = await tempDir();
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", path], { stdio: "pipe" });
  } catch (error) {
    await remove();
    console.warn(`skipped: cannot mount a tmpfs here (${String(error)})`);
    return undefined;
  }
  onTestFinished(async () => {
    execFileSync("umount", [path]);
    await remove();
  });
  return path;
}
