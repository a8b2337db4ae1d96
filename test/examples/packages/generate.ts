/** Records of the same shape and about the same size, for machines without a package index. */
import { createHash } from "node:crypto";
import type { PackageRecord } from "./record.ts";

export const GENERATED_RECORDS = 60_000;

const SECTIONS = ["admin", "devel", "doc", "games", "libdevel", "libs", "net", "python", "utils"];
const STEMS = ["apt", "core", "data", "fast", "gnu", "lib", "micro", "net", "open", "py", "tiny"];
const WORDS = (
  "access archive binary client command compiler console daemon database desktop documentation " +
  "editor engine file filter font framework graphical interface language library manager module " +
  "network parser plugin protocol server shared system tool viewer"
).split(" ");

/** The same seed gives the same records on every machine. */
export function* generatePackages(seed: number, count: number): Generator<PackageRecord> {
  const random = mulberry32(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const pick = (words: readonly string[]): string => words[below(words.length)] ?? "";
  const name = (n: number): string => `${pick(STEMS)}${pick(WORDS)}-${n.toString(36)}`;
  const version = (): string => `${below(9)}.${below(30)}.${below(12)}-${1 + below(5)}`;
  for (let n = 0; n < count; n++) {
    const [Package, Version, section] = [name(n), version(), pick(SECTIONS)];
    const depends = Array.from(
      { length: below(14) },
      () => `${name(below(n + 1))} (>= ${version()})`,
    );
    const digest = (kind: string): string =>
      createHash(kind).update(`${seed}/${Package}`).digest("hex");
    const file = `${Package}_${Version}_amd64.deb`;
    yield {
      Package,
      Version,
      "Installed-Size": 20 + below(90_000),
      Maintainer: `Debian ${pick(WORDS)} Team <pkg-${pick(WORDS)}-devel@lists.example.org>`,
      Architecture: "amd64",
      ...(depends.length > 0 ? { Depends: depends.join(", ") } : {}),
      Description: Array.from({ length: 8 }, () => pick(WORDS)).join(" "),
      Homepage: `https://${Package}.example.org/`,
      "Description-md5": digest("md5"),
      Tag: Array.from({ length: 1 + below(6) }, () => `${pick(WORDS)}::${pick(WORDS)}`),
      Section: section,
      Priority: "optional",
      Filename: `pool/main/${Package.slice(0, 1)}/${Package}/${file}`,
      Size: 1000 + below(9_000_000),
      MD5sum: digest("md5"),
      SHA256: digest("sha256"),
    };
  }
}

/** Small seeded generator of numbers in [0, 1) (Tommy Ettinger's mulberry32). */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296;
  };
}
