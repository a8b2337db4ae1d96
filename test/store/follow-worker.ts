/**
 * Another process, with other rights, that follows a store: a line on stdin asks, a line of JSON
 * answers. Bundled by ../storage/fs-processes.ts.
 */
import { createInterface } from "node:readline";
import { OpslogError } from "../../src/core/errors.ts";
import { Store } from "../../src/store/store.ts";

const [location = ""] = process.argv.slice(2);

function answer(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function codeOf(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
    return "accepted";
  } catch (error) {
    return error instanceof OpslogError ? error.code : String(error);
  }
}

async function tryAll(store: Store<unknown>): Promise<string[]> {
  const codes: string[] = [];
  for (const call of [
    () => store.set("x", 1),
    () => store.delete("a"),
    () => store.batch(() => undefined),
    () => store.undo(),
    () => store.compact(),
    () => store.archive(() => true),
  ]) {
    codes.push(await codeOf(call));
  }
  return codes;
}

const store = await Store.open<unknown>(location, { readOnly: true });
const copy = new Map(store.entries());
answer({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "try") answer(await tryAll(store));
  if (line === "watch") store.watch((told) => answer(told.map(({ op, id }) => `${op} ${id}`)), 5);
  if (line !== "tail") continue;
  for (const { op, id, data } of await store.tail()) {
    if (op === "set") copy.set(id, data);
    else copy.delete(id);
  }
  answer({ copy: [...copy], entries: store.entries() });
}
await store.close();
