/** Another process, with other rights: opens a store, does one thing, answers with a line of JSON. */
import { OpslogError } from "../../src/core/errors.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { Store } from "../../src/store/store.ts";

const [command, location = ""] = process.argv.slice(2);

function answer(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function run(): Promise<void> {
  const readOnly = command === "read";
  const backend = new FsBackend({ fsync: false });
  const store = await Store.open<unknown>(location, {
    backend,
    readOnly,
    checkpointOnClose: false,
  });
  if (command === "write") await store.set("by worker", 1);
  if (command === "compact") await store.compact();
  answer({ count: store.count() });
  await store.close();
}

try {
  await run();
} catch (error) {
  if (!(error instanceof OpslogError)) throw error;
  answer({ code: error.code, action: error.action, message: error.message });
}
