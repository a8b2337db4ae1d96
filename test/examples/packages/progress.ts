/** A progress bar: redrawn in place on a terminal, otherwise a line every few seconds. */
import type { WriteStream } from "node:tty";

const REDRAW_MS = 100;
const LINE_MS = 3000;
const BAR_CELLS = 24;

export class Progress {
  readonly #out: Pick<WriteStream, "write" | "isTTY" | "columns">;
  readonly #label: string;
  readonly #total: number;
  readonly #startedMs = performance.now();
  #done = 0;
  /** The rate is of the records alone, whatever is noted afterwards. */
  #doneMs = this.#startedMs;
  #note = "";
  #shown = "";
  #shownMs = this.#startedMs;

  constructor(out: Pick<WriteStream, "write" | "isTTY" | "columns">, label: string, total: number) {
    this.#out = out;
    this.#label = label;
    this.#total = total;
  }

  advance(records: number): void {
    this.#done += records;
    this.#doneMs = performance.now();
    this.#show();
  }

  /** @param text stands behind the bar from now on */
  note(text: string): void {
    this.#note = text;
    this.#show();
  }

  /** The last state, for good. */
  end(): void {
    this.#write(true);
  }

  #show(): void {
    const sinceMs = performance.now() - this.#shownMs;
    if (sinceMs >= (this.#out.isTTY ? REDRAW_MS : LINE_MS)) this.#write(false);
  }

  #write(isLast: boolean): void {
    this.#shownMs = performance.now();
    const text = this.#text();
    if (this.#out.isTTY) {
      // A line that wraps could not be drawn over.
      const line = text.slice(0, this.#out.columns - 1);
      this.#out.write(`\r\u001b[K${line}${isLast ? "\n" : ""}`);
    } else if (text !== this.#shown) this.#out.write(`${text}\n`);
    this.#shown = text;
  }

  #text(): string {
    const share = this.#total === 0 ? 1 : this.#done / this.#total;
    const cells = Math.round(share * BAR_CELLS);
    const bar = "█".repeat(cells) + "░".repeat(BAR_CELLS - cells);
    const seconds = (this.#doneMs - this.#startedMs) / 1000;
    const rate = Math.round(this.#done / Math.max(seconds, 0.001));
    const left = share > 0 && share < 1 ? `, ${Math.ceil(seconds / share - seconds)} s left` : "";
    const count = `${count3(this.#done)}/${count3(this.#total)}, ${count3(rate)}/s${left}`;
    return `${this.#label.padEnd(12)} ${bar} ${count}${this.#note === "" ? "" : ` · ${this.#note}`}`;
  }
}

/** 59,644 */
export function count3(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
