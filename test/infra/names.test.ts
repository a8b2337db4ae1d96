/** Policies name the objects that the store really writes. */
import { expect, test } from "vitest";
import * as granted from "../../infra/store-access.ts";
import * as paths from "../../src/format/paths.ts";

test("policies and the format name the same objects", () => {
  expect(granted).toMatchObject({
    MANIFEST: paths.MANIFEST_PATH,
    LEASE: paths.COMPACT_LEASE_PATH,
    WORKER_LEASES: "compact-*.lease",
    START: paths.COMPACT_START_PATH,
    WRITER_LEASE: paths.WRITER_LEASE_PATH,
    LOG: `${paths.LOG_PREFIX}*`,
    RUNS: `${paths.RUNS_PREFIX}*`,
    ARCHIVES: `${paths.ARCHIVE_PREFIX}*`,
  });
  for (const kind of ["log", "units"] as const) {
    expect(paths.taskLeasePath(kind, 3, 16)).toMatch(/^compact-[a-z0-9-]+\.lease$/);
  }
});
