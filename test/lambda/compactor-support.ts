/** Stores to compact, under clocks and with troubles of the tests' own. */
import { type FsBackend, MemoryBackend, Store } from "opslog-serverless";
import type { LambdaContext } from "opslog-serverless/lambda";
import type { Runtime } from "../../src/core/runtime.ts";

export async function put(
  location: string,
  backend: MemoryBackend | FsBackend,
  ...ids: string[]
): Promise<void> {
  // prettier-ignore
  await using store = await Store.open<number>(location, { backend, agentId: "w", skipLoad: true });
  for (const id of ids) await store.set(id, 1);
}

/** An invocation of a minute under a clock of its own. */
export function minute(runtime: Runtime): LambdaContext {
  const endMs = runtime.nowMs() + 60_000;
  return { awsRequestId: "one", getRemainingTimeInMillis: () => endMs - runtime.nowMs() };
}

/** Does something before each call of a kind. */
export class Meddled extends MemoryBackend {
  before: (call: string) => Promise<void> | void = () => undefined;

  override async get(...args: Parameters<MemoryBackend["get"]>): ReturnType<MemoryBackend["get"]> {
    await this.before(`get ${args[0]}`);
    return super.get(...args);
  }

  override async put(...args: Parameters<MemoryBackend["put"]>): ReturnType<MemoryBackend["put"]> {
    await this.before(`put ${args[0]}`);
    return super.put(...args);
  }
}
