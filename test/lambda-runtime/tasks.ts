/** A handler that ends otherwise than well: what it had acknowledged must be there all the same. */
import { withStore } from "opslog-serverless/lambda";

export interface TaskEvent {
  readonly id: string;
  readonly tag: string;
  /** After the write: fail, never return, end the process, or leave a write unawaited. */
  readonly ending: "throw" | "hang" | "exit" | "leave";
}

export const handler = withStore<{ tag: string }, TaskEvent, string>(
  { location: process.env["OPSLOG_LOCATION"] },
  async ({ id, tag, ending }, _context, store) => {
    if (ending === "leave") {
      void store.set(id, { tag });
      return "left";
    }
    await store.set(id, { tag });
    if (ending === "throw") throw new RangeError(`after ${tag}`);
    // Not the console, whose lines Lambda writes late.
    await new Promise((written) => process.stdout.write(`acknowledged ${tag}\n`, written));
    if (ending === "exit") process.exit(1);
    // With nothing left to wait for Node would end.
    return new Promise<string>((done) => setTimeout(done, 600_000, "too late"));
  },
);
