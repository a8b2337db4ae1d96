/** How a call ended, as a value; a call that does not end is a failure of its own. */
import { OpslogError } from "../../src/core/errors.ts";

export type Settled<T = unknown> = { readonly text: string; readonly code: string | undefined } & (
  | { readonly status: "resolved"; readonly value: T }
  | { readonly status: "rejected"; readonly error: unknown }
);

/** In real time, of which nothing here takes more than a moment. */
const HANGS_MS = 10_000;

export async function settle<T>(call: () => Promise<T>): Promise<Settled<T>> {
  let timer: NodeJS.Timeout | undefined;
  const hanging = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("it hangs")), HANGS_MS);
  });
  try {
    const value = await Promise.race([call(), hanging]);
    return { status: "resolved", value, text: "resolved", code: undefined };
  } catch (error) {
    const code = error instanceof OpslogError ? error.code : undefined;
    return { status: "rejected", error, text: `rejected with ${String(error)}`, code };
  } finally {
    clearTimeout(timer);
  }
}
