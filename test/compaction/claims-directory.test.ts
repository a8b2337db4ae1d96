/** Claims on a directory: files of their own beside the log files, merged and deleted as elsewhere. */
import { readdir } from "node:fs/promises";
import { expect, test } from "vitest";
import { compact } from "../../src/compaction/compact.ts";
import { claimPath } from "../../src/format/paths.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { Store } from "../../src/store/store.ts";
import { verify } from "../../src/store/verify.ts";
import { absentAt, claimBytes, dataClaim, guarded, idOf, versionAfter } from "../support/claims.ts";
import { tempDir } from "../support/temp-dir.ts";

const LANE = 0x3f;

test("claims on a directory are merged, and deleted a grace later", async () => {
  await using directory = await tempDir();
  const location = `${directory.path}/store`;
  const backend = new FsBackend();
  await using writer = await Store.open<string>(location, {
    agentId: "w",
    backend,
    guardGraceMs: 300,
  });
  await writer.set("a", "first");
  const medium = new FsBackend();
  await medium.initialize(location, { readOnly: false });
  const id = idOf(LANE);
  const first = guarded(id, absentAt(0), "one");
  const second = guarded(id, versionAfter(first), "two");
  for (const [at, operation] of [first, second].entries()) {
    const place = { lane: LANE, n: at + 1 };
    await medium.put(claimPath(place), claimBytes(dataClaim(place, [operation])), {
      ifAbsent: true,
    });
  }
  expect(await verify(location)).toMatchObject({ problems: [], operations: 3 });
  const files = (): Promise<string[]> => readdir(`${location}/ops/3/lane-3f`);
  const options = { backend: new FsBackend(), guardGraceMs: 300 };
  expect(await compact(location, options)).toMatchObject({ outcome: "published", claims: 2 });
  expect(await files()).toHaveLength(2);
  expect(await verify(location)).toMatchObject({ problems: [], operations: 0, records: 2 });
  await using reader = await Store.open<string>(location, {
    readOnly: true,
    backend: new FsBackend(),
  });
  expect(new Map(reader.entries())).toEqual(
    new Map([
      ["a", "first"],
      [id, "two"],
    ]),
  );
  await expect
    .poll(async () => {
      await compact(location, options);
      return files().catch(() => []);
    })
    .toEqual([]);
  await writer.set("b", "second");
  await reader.refresh();
  expect([reader.get("b"), reader.get(id)]).toEqual(["second", "two"]);
});
