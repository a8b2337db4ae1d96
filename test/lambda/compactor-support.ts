/** Stores to compact, under clocks and with troubles of the tests' own. */
import { type FsBackend, MemoryBackend, Store } from "opslog-serverless";
import type { LambdaContext } from "opslog-serverless/lambda";
import { afterEach, beforeEach, vi } from "vitest";
import type { Runtime } from "../../src/core/runtime.ts";

/** To be called at the top of a file: what each of its tests writes to the standard output. */
export function capturedOutput(): { readonly printed: string[]; log(): void } {
  const printed: string[] = [];
  beforeEach(() => {
    printed.length = 0;
    vi.spyOn(process.stdout, "write").mockImplementation((text) => printed.push(String(text)) > 0);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });
  return { printed, log: () => undefined };
}

export async function put(
  location: string,
  backend: MemoryBackend | FsBackend,
  ...ids: string[]
): Promise<void> {
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
