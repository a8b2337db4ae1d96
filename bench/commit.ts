/** Of the sources that are measured. */
import { execFileSync } from "node:child_process";

export function commit(): string {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown"; // Not a clone: an unpacked archive has no history.
  }
}
