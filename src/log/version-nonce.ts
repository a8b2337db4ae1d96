/** The `w` of versions: no two flushes of any process or its clones have the same (VERSION-UNIQUE). */
import { hash } from "node:crypto";
import { crc32 } from "node:zlib";

/**
 * A clone of this process (a restored VM snapshot) has drawn the same digits and takes the same clocks, but
 * what it writes has another name or other bytes.
 * @param drawn 16 random hex digits of the writer
 * @param name of the object, whole, or of the place in a log file
 * @param lines the operation lines, which do not contain `w`
 * @returns 16 hex digits
 */
export function versionNonce(drawn: string, name: string, lines: Buffer): string {
  const sum = crc32(lines).toString(16).padStart(8, "0");
  return hash("sha256", `${drawn} ${name} ${sum}`).slice(0, drawn.length);
}
