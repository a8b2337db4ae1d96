/** Commits that land when their transactions were aborted, merged and collected long ago (ACK, X5). */
import { describe, expect, test } from "vitest";
import { WriteOutcomeUnknownError } from "../../src/core/errors.ts";
import type { StorageBackend } from "../../src/storage/backend.ts";
import { idOf } from "../support/claims.ts";
import { settledIn } from "../support/settled.ts";
import { setUp } from "./fixture.ts";
import { directoryMedium, memoryMedium } from "./media.ts";

const [A, B] = [idOf(0x3f), idOf(0xc0)];

function heldUp(inner: StorageBackend, before: () => Promise<void>): StorageBackend {
  let isFirst = true;
  return new Proxy(inner, {
    get: (_, name) => {
      const value: unknown = Reflect.get(inner, name, inner);
      if (typeof value !== "function") return value;
      if (name !== "put") return value.bind(inner);
      return async (...args: unknown[]): Promise<unknown> => {
        if (isFirst && String(args[0]).includes("/txn-")) {
          isFirst = false;
          await before();
        }
        return Reflect.apply(value, inner, args);
      };
    },
  });
}

describe.each([memoryMedium, directoryMedium])("%o", (make) => {
  test("a commit that lands after its abort was collected is not acknowledged", async () => {
    const { medium, open, entries } = await setUp(make);
    const rival = await open<number>({ agentId: "b" });
    const backend = heldUp(medium.backend(), async () => {
      await rival.transaction((tx) => tx.set(A, 100), { patienceMs: 1 });
      for (let pass = 0; pass < 3; pass++) {
        await rival.compact();
        await medium.pass(61_000);
      }
    });
    const slow = await open<number>({ agentId: "a", backend });
    const { rejected } = await settledIn([
      slow.transaction((tx) => {
        tx.set(A, 1);
        tx.set(B, 1);
      }),
    ]);
    expect(rejected).toHaveLength(1);
    const [error] = rejected;
    expect(error).toBeInstanceOf(WriteOutcomeUnknownError);
    if (error instanceof WriteOutcomeUnknownError)
      await expect(error.settle?.()).rejects.toThrow(/merged meanwhile/);
    expect(await entries()).toEqual([[A, 100]]);
  });
});
