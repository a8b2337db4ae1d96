/** Media and contexts for the tests of Lambda handlers. */
import { FsBackend, MemoryBackend, Store, type StorageBackend } from "opslog-serverless";
import type { LambdaContext } from "opslog-serverless/lambda";
import { tempDir } from "../support/temp-dir.ts";

export interface Medium extends AsyncDisposable {
  readonly location: string;
  readonly backend: () => StorageBackend;
}

export const MEDIA = {
  memory: async (): Promise<Medium> => {
    const backend = new MemoryBackend();
    return { location: "store", backend: () => backend, [Symbol.asyncDispose]: async () => {} };
  },
  directory: async (): Promise<Medium> => {
    const directory = await tempDir();
    return {
      location: directory.path,
      backend: () => new FsBackend(),
      [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
    };
  },
};

export function lambdaContext(awsRequestId = "request-1", remainingMs = 60_000): LambdaContext {
  return { awsRequestId, getRemainingTimeInMillis: () => remainingMs };
}

/** Every record, as a fresh reader finds it. */
export async function readAll({ location, backend }: Medium): Promise<[string, unknown][]> {
  await using store = await Store.open(location, { backend: backend(), readOnly: true });
  return store.entries().toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** The text of every object of the log. */
export async function readLog({
  location,
  backend,
}: Pick<Medium, "location" | "backend">): Promise<string[]> {
  const reader = backend();
  await reader.initialize(location, { readOnly: true });
  const texts: string[] = [];
  for await (const { objects } of reader.list("ops/")) {
    for (const { path } of objects) {
      const found = await reader.get(path);
      if (found.status === "found") texts.push(Buffer.from(found.body).toString());
    }
  }
  return texts;
}

/** What `promise` rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("error" in outcome) return outcome.error;
  throw new Error(`must reject, but gave ${JSON.stringify(outcome.value)}`);
}
