/** The test that the guide shows, as it stands there. */
import { MemoryBackend, Store } from "opslog-serverless";
import { withStore } from "opslog-serverless/lambda";
import { expect, test } from "vitest";

test("counts visits", async () => {
  const backend = new MemoryBackend();
  const handler = withStore<number, string, number>(
    { location: "test", backend },
    async (id, _context, store) => {
      await store.update(id, (visits = 0) => visits + 1);
      return (await store.read(id)) ?? 0;
    },
  );
  const context = (awsRequestId: string) => ({
    awsRequestId,
    getRemainingTimeInMillis: () => 3_000,
  });
  expect(await handler("home", context("1"))).toBe(1);
  expect(await handler("home", context("2"))).toBe(2);

  // What the invocations left behind, as another process would find it.
  await using store = await Store.open<number>("test", { backend, readOnly: true });
  expect(store.get("home")).toBe(2);
});
