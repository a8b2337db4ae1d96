/**
 * What another process does to a store, for tests of several processes. Bundled by fs-processes.ts.
 * One answer a line on stdout; holds what it holds until stdin ends.
 */
import { OpslogError } from "../../src/core/errors.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";

const [command, location = "", ...rest] = process.argv.slice(2);

function answer(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function increment(backend: FsBackend, path: string, count: number): Promise<void> {
  for (let done = 0; done < count;) {
    const found = await backend.get(path);
    if (found.status !== "found") throw new Error(`no ${path}`);
    const next = String(Number(Buffer.from(found.body).toString()) + 1);
    const { etag } = found;
    if ((await backend.put(path, Buffer.from(next), { ifMatch: etag })).status === "written")
      done++;
  }
}

async function run(): Promise<void> {
  const backend = new FsBackend({ fsync: false });
  await backend.initialize(location, { readOnly: command === "read" });
  switch (command) {
    case "increment":
      answer({ ready: true });
      for await (const _ of process.stdin);
      await increment(backend, rest[0] ?? "", Number(rest[1]));
      return answer({ done: true });
    case "lock":
      answer({ ready: true });
      await new Promise((resolve) => process.stdin.once("data", resolve));
      await backend.lock(".lock");
      answer({ locked: true });
      for await (const _ of process.stdin);
      return;
    case "put":
      await backend.put(rest[0] ?? "", Buffer.from("x"), "none");
      return answer({ written: true });
    case "read":
      return answer({ status: (await backend.get(rest[0] ?? "")).status });
    default:
      throw new Error(`unknown command ${command}`);
  }
}

try {
  await run();
} catch (error) {
  if (!(error instanceof OpslogError)) throw error;
  answer({ code: error.code, message: error.message });
}
