/** Names, lock files, leases and what the original opslog left: hostile content, no surprise. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { systemRuntime } from "../../src/core/runtime.ts";
import * as paths from "../../src/format/paths.ts";
import { surveyArchive } from "../../src/legacy/archive.ts";
import { readLegacyLog } from "../../src/legacy/log.ts";
import { recognizeLegacyManifest } from "../../src/legacy/manifest.ts";
import { readSnapshotHead, streamSnapshot } from "../../src/legacy/snapshot.ts";
import { OpslogError } from "../../src/core/errors.ts";
import { RunGoneError } from "../../src/runs/run-gone.ts";
import { parseHolder } from "../../src/storage/fs/process-identity.ts";
import { SwapName } from "../../src/storage/fs/names.ts";
import { Lease } from "../../src/storage/lease.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { checkPath, checkPrefix } from "../../src/core/relative-path.ts";
import { decoded, mutated, noise, NESTED, RUNS, SEED } from "./support.ts";

const RAND = "9f86d081884c7d65";
const VALID_NAMES = [
  `ops/9/ops-1766400000000-${RAND}/1-41-42-mfzwi4k3nzqw.jsonl`,
  `ops/ops-1-${RAND}.3.jsonl`,
  `snapshots/snap-12-${RAND}.index`,
  `archive/archive-2026-Q4-12-${RAND}.jsonl`,
  "ops/agent-a-1766400000000/batch-1-2.jsonl",
  "ops/3/lane-3f/000000000012.jsonl",
  `ops/9/txn-001795356093-${RAND}.jsonl`,
  "manifests/0000000000000001.json",
  "compact.lease",
];
const names = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  mutated(
    fc.constantFrom(...VALID_NAMES).map((name) => Buffer.from(name)),
    false,
  ).map((bytes) => bytes.toString()),
  fc
    .array(fc.constantFrom("..", ".", "", "ops", "a\0", "\\", "CON", "x".repeat(300)), {
      maxLength: 6,
    })
    .map((parts) => parts.join("/")),
);

test("a name is parsed as what would be written, or not at all", () => {
  fc.assert(
    fc.property(names, (name) => {
      const segment = decoded(() => paths.parseSegmentPath(name));
      if (segment !== undefined) {
        expect([segment.n, segment.lo, segment.hi].every((part) => part >= 0)).toBe(true);
        expect(name.split("/")).toHaveLength(4);
      }
      const file = decoded(() => paths.parseLogFilePath(name));
      // Leading zeros aside there is one name for each file.
      if (file !== undefined) expect(name).toContain(`ops/${file.stream}.`);
      const claim = decoded(() => paths.parseClaimPath(name));
      if (claim !== undefined) expect(paths.claimPath(claim)).toBe(name);
      const txn = decoded(() => paths.parseTxnPath(name));
      if (txn !== undefined) expect(paths.txnPath(txn)).toBe(name);
      for (const parse of [paths.parseRunBase, paths.parseArchiveBase]) {
        const base = decoded(() => parse(name));
        if (base !== undefined) expect(base >= 0).toBe(true);
      }
      decoded(() => paths.isLegacyLog(name));
      decoded(() => paths.isLegacySnapshot(name));
      decoded(() => paths.legacyBatchOrder(name));
      decoded(() => paths.decodeFilter(name));
      decoded(() => SwapName.of(name)?.versionOf(name));
      decoded(() => SwapName.ofVersion(name));
      const checked = decoded(() => checkPath(name));
      const prefix = decoded(() => checkPrefix(name));
      for (const path of [checked, prefix]) {
        const parts = path?.replace(/\/$/, "").split("/") ?? [];
        expect(parts.some((part) => part === ".." || part === "." || part.includes("\0"))).toBe(
          false,
        );
        expect(path?.startsWith("/")).not.toBe(true);
      }
    }),
    { seed: SEED, numRuns: RUNS * 2 },
  );
});

const holders = fc.constant(
  Buffer.from(
    `77 ${JSON.stringify({ pid: 77, host: "h", token: "t", bootId: "b", processStart: "1" })}\n`,
  ),
);

test("a lock file names a process, or nobody", () => {
  fc.assert(
    fc.property(fc.oneof(noise, mutated(holders, false)), (bytes) => {
      const holder = decoded(() => parseHolder(bytes));
      if (holder === undefined) return;
      // process.kill of 0 or a negative number would mean a group of processes.
      expect(Number.isSafeInteger(holder.pid) && holder.pid > 0).toBe(true);
      expect([typeof holder.token, typeof (holder.host ?? "")]).toEqual(["string", "string"]);
    }),
    { seed: SEED, numRuns: RUNS },
  );
});

test("a lease of any content is held, free or expired; it is never an error", async () => {
  const leases = fc.constant(Buffer.from('{"owner":"0d4ce3a12c9a4f7e","ttlMs":60000}\n'));
  const property = fc.asyncProperty(fc.oneof(noise, mutated(leases, false)), async (bytes) => {
    const backend = new MemoryBackend();
    await backend.initialize("x", { readOnly: false });
    await backend.writeBlob("x.lease", bytes);
    const lease = await Lease.take(backend, systemRuntime, { path: "x.lease", ttlMs: 60_000 });
    await lease?.release();
    // Only an owner of null, or a lease that says it lasts no time, may be taken at once.
    if (lease !== undefined) expect(bytes.toString()).toMatch(/"owner":\s*null|"ttlMs":\s*-?0/);
  });
  await fc.assert(property, { seed: SEED, numRuns: RUNS });
});

const MANIFEST = {
  version: 1,
  currentSnapshot: "snapshots/snap-1.jsonl",
  activeOps: "ops/ops-1.jsonl",
  activeAgentOps: { a: "ops/agent-a-1.jsonl" },
  archiveSegments: ["archive/archive-a.json"],
  stats: { activeRecords: 1, archivedRecords: 0, opsCount: 1, created: "c", lastCheckpoint: "l" },
};
const OPERATION = {
  ts: "2026",
  op: "set",
  id: "a",
  data: { n: 1 },
  prev: null,
  agent: "a",
  clock: 1,
};
const originals = {
  manifest: JSON.stringify(MANIFEST),
  log: `${JSON.stringify(OPERATION)}\n${JSON.stringify({ ...OPERATION, encoding: "delta", prev: { $set: { n: 1 } } })}\n`,
  lines:
    '{"version":1,"timestamp":"2026"}\n{"id":"a","data":{"n":1}}\n{"id":"__proto__","data":1}\n',
  object: '{"version":1,"timestamp":"2026","records":{"a":{"n":1},"__proto__":2}}',
  archive: '{"version":1,"period":"p","timestamp":"2026","records":{"a":{"n":1}}}',
};
const inputs = (text: string): fc.Arbitrary<Buffer> =>
  fc.oneof(noise, mutated(fc.constant(Buffer.from(text)), false), fc.constant(Buffer.from(NESTED)));

test("a manifest of the original names nothing outside the store", () => {
  fc.assert(
    fc.property(inputs(originals.manifest), (bytes) => {
      const manifest = decoded(() => recognizeLegacyManifest(bytes, "manifest.json"));
      if (manifest === undefined) return;
      const { currentSnapshot, activeOps, activeAgentOps } = manifest;
      for (const path of [currentSnapshot, activeOps, ...Object.values(activeAgentOps)]) {
        expect(checkPath(path)).toBe(path);
      }
    }),
    { seed: SEED, numRuns: RUNS },
  );
});

test("logs, snapshots and archives of the original are read, skipped or refused", async () => {
  const { log, lines, object, archive } = originals;
  const texts = fc.oneof(...[log, lines, object, archive].map(inputs));
  const property = fc.asyncProperty(texts, async (bytes) => {
    const backend = new MemoryBackend();
    await backend.initialize("x", { readOnly: false });
    for (const path of ["ops/ops-1.jsonl", "s", "a"]) await backend.writeBlob(path, bytes);
    const { logs } = await readLegacyLog(backend, { ...MANIFEST, activeAgentOps: {} });
    for (const { operation } of logs.flat()) {
      expect(typeof operation.id === "string" && operation.id !== "").toBe(true);
    }
    const reads = [
      () => surveyArchive(backend, "a"),
      async () => {
        const head = await readSnapshotHead(backend, "s");
        for await (const batch of streamSnapshot(backend, head)) {
          for (const { id, text } of batch) {
            expect(id).not.toBe("");
            JSON.parse(text ?? "null");
          }
        }
      },
    ];
    for (const read of reads) {
      await read().catch((error: unknown) => {
        const isOurs = error instanceof OpslogError || error instanceof RunGoneError;
        if (!isOurs) throw error;
      });
    }
    expect(Reflect.get({}, "polluted")).toBeUndefined();
  });
  await fc.assert(property, { seed: SEED, numRuns: RUNS });
});
