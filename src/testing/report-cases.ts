import assert from "node:assert/strict";
import type { OnRequest, StorageBackend } from "../storage/backend.ts";
import { bytes, put } from "./support.ts";
import type { Case } from "./support.ts";

/** What a call reported of its requests. */
interface Reported {
  readonly kind: string;
  readonly bytesOut: number;
  /** One for each time that its end was reported. */
  readonly bytesIn: number[];
}

/** A medium that reports nothing passes. */
async function reportsOf(
  { reportsRequests }: StorageBackend,
  call: (onRequest: OnRequest) => Promise<unknown>,
): Promise<Reported[] | undefined> {
  const reported: Reported[] = [];
  await call((kind, bytesOut) => {
    const request: Reported = { kind, bytesOut, bytesIn: [] };
    reported.push(request);
    return (bytesIn) => void request.bytesIn.push(bytesIn);
  });
  return reportsRequests === true ? reported : undefined;
}

function assertReported(
  reported: readonly Reported[] | undefined,
  kind: string,
  moved: { readonly least: number; readonly of: "bytesIn" | "bytesOut" },
): void {
  if (reported === undefined) return;
  assert.ok(
    reported.some((one) => one.kind === kind),
    `a request "${kind}" among ${JSON.stringify(reported)}`,
  );
  for (const { bytesIn } of reported) assert.equal(bytesIn.length, 1, "the end is reported once");
  const sum = reported.reduce(
    (all, { bytesIn, bytesOut }) => all + (moved.of === "bytesIn" ? (bytesIn[0] ?? 0) : bytesOut),
    0,
  );
  assert.ok(sum >= moved.least, `${moved.of}: expected at least ${moved.least}, found ${sum}`);
}

export const reportCases: readonly Case[] = [
  {
    name: "each call with onRequest reports its requests, where the backend can",
    run: async ({ backend }) => {
      const body = bytes("x".repeat(1_000));
      const written = await reportsOf(backend, (onRequest) =>
        backend.put("dir/a", body, "none", { onRequest }),
      );
      assertReported(written, "put", { least: 1_000, of: "bytesOut" });
      const read = await reportsOf(backend, (onRequest) => backend.get("dir/a", { onRequest }));
      assertReported(read, "get", { least: 1_000, of: "bytesIn" });
      const missed = await reportsOf(backend, (onRequest) => backend.get("none", { onRequest }));
      assertReported(missed, "get", { least: 0, of: "bytesIn" });
      const listed = await reportsOf(backend, async (onRequest) => {
        for await (const page of backend.list("dir/", { onRequest })) {
          assert.equal(page.objects.length, 1);
        }
      });
      assertReported(listed, "list", { least: 1, of: "bytesIn" });
      await put(backend, "dir/b", "x");
      const deleted = await reportsOf(backend, (onRequest) =>
        backend.delete(["dir/a", "dir/b"], { onRequest }),
      );
      assertReported(deleted, "delete", { least: 0, of: "bytesIn" });
    },
  },
];
