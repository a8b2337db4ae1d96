/** A fresh reader's answer; anything it has to warn of is a failure. */
import { StoreNotFoundError } from "../../src/core/errors.ts";
import { Store } from "../../src/store/store.ts";
import { backendFor } from "./medium.ts";

export interface ReadStoreOptions {
  /** eager: everything there is. lazy: those of `ids` that exist. */
  readonly how: "eager" | "lazy";
  readonly ids: readonly string[];
}

/** Records by id; none where no store was made yet. */
export async function readStore(
  location: string,
  { how, ids }: ReadStoreOptions,
): Promise<Map<string, unknown>> {
  const warnings: string[] = [];
  const backend = await backendFor(location);
  const onWarning = (message: string): void => void warnings.push(message);
  const store = new Store();
  try {
    const skipLoad = how === "lazy";
    const options = { readOnly: true, skipLoad, backend, onWarning, backlogSegments: Infinity };
    await store.open(location, options);
  } catch (error) {
    if (error instanceof StoreNotFoundError) return new Map();
    throw error;
  }
  const records = how === "eager" ? new Map(store.entries()) : await store.readMany(ids);
  await store.close();
  if (warnings.length > 0) throw new Error(`${how} reader warned: ${warnings.join("; ")}`);
  return records;
}
