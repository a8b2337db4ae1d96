/** The public Store on one medium: every sentence of its contract that holds on all of them. */
import { describe } from "vitest";
import { agentCases } from "./cases/agents.ts";
import { archiveNameCases, archiveRefusalCases } from "./cases/archive-names.ts";
import {
  archiveConcurrencyCases,
  archiveOrderCases,
  archiveSchemaCases,
  archiveUndoCases,
} from "./cases/archive-order.ts";
import { archiveCases } from "./cases/archive.ts";
import { backlogCases } from "./cases/backlog.ts";
import { batchCases } from "./cases/batch.ts";
import { checkpointCases } from "./cases/checkpoints.ts";
import { conditionalCases } from "./cases/conditional.ts";
import { costCases } from "./cases/cost.ts";
import { failedWriteCases } from "./cases/failed-writes.ts";
import { compactedCases } from "./cases/follow-compacted.ts";
import { followCases } from "./cases/follow.ts";
import { freshnessCases } from "./cases/freshness.ts";
import { graceCases } from "./cases/grace.ts";
import { historyCases } from "./cases/history.ts";
import { lifecycleCases } from "./cases/lifecycle.ts";
import { lockCases } from "./cases/lock.ts";
import { oddRecordCases } from "./cases/odd-records.ts";
import { onceCases } from "./cases/once.ts";
import { orderCases } from "./cases/order.ts";
import { purgeCases } from "./cases/purge.ts";
import { readOnlyCases } from "./cases/read-only.ts";
import { readmeCases } from "./cases/readme.ts";
import { readCases } from "./cases/reads.ts";
import { refreshCases } from "./cases/refresh.ts";
import { scanRaceCases } from "./cases/scan-races.ts";
import { scanCases } from "./cases/scan.ts";
import { schemaCases } from "./cases/schema.ts";
import { streamRaceCases } from "./cases/stream-races.ts";
import { streamCases } from "./cases/streams.ts";
import { sharedObjectCases, togetherCases } from "./cases/together.ts";
import { transactionRaceCases } from "./cases/transaction-races.ts";
import { transactionCases } from "./cases/transactions.ts";
import { versionCases } from "./cases/versions.ts";
import { watchCases } from "./cases/watch.ts";
import { writeModeCases } from "./cases/write-modes.ts";
import { writeCases } from "./cases/writes.ts";
import type { MakeMedium } from "./fixture.ts";

export function storeSuite(name: string, makeMedium: MakeMedium): void {
  describe(`Store on ${name}`, () => {
    describe("the README of the original", () => readmeCases(makeMedium));
    describe("open and close", () => lifecycleCases(makeMedium));
    describe("reads", () => readCases(makeMedium));
    describe("versions", () => versionCases(makeMedium));
    describe("order", () => orderCases(makeMedium));
    describe("writes", () => writeCases(makeMedium));
    describe("conditional writes", () => conditionalCases(makeMedium));
    describe("once", () => onceCases(makeMedium));
    describe("transactions", () => {
      transactionCases(makeMedium);
      transactionRaceCases(makeMedium);
    });
    describe("write modes", () => writeModeCases(makeMedium));
    describe("failed writes", () => failedWriteCases(makeMedium));
    describe("batch", () => batchCases(makeMedium));
    describe("history", () => historyCases(makeMedium));
    describe("odd records", () => oddRecordCases(makeMedium));
    describe("checkpoints", () => checkpointCases(makeMedium));
    describe("merged segments", () => graceCases(makeMedium));
    describe("freshness", () => freshnessCases(makeMedium));
    describe("refresh", () => refreshCases(makeMedium));
    describe("tail", () => {
      followCases(makeMedium);
      compactedCases(makeMedium);
    });
    describe("watch", () => watchCases(makeMedium));
    describe("agents", () => agentCases(makeMedium));
    describe("stores that flush together", () => {
      togetherCases(makeMedium);
      if (name !== "a directory") sharedObjectCases(makeMedium);
    });
    describe("single writer", () => lockCases(makeMedium));
    describe("readOnly", () => readOnlyCases(makeMedium));
    describe("streams", () => streamCases(makeMedium));
    describe("streams beside compactions", () => streamRaceCases(makeMedium));
    describe("scan", () => scanCases(makeMedium));
    describe("scan beside compactions", () => scanRaceCases(makeMedium));
    describe("schema version", () => schemaCases(makeMedium));
    describe("archive", () => {
      archiveCases(makeMedium);
      describe("names", () => archiveNameCases(makeMedium));
      describe("refusals", () => archiveRefusalCases(makeMedium));
      describe("order of calls", () => archiveOrderCases(makeMedium));
      describe("undo", () => archiveUndoCases(makeMedium));
      describe("several at once", () => archiveConcurrencyCases(makeMedium));
      describe("schema version", () => archiveSchemaCases(makeMedium));
    });
    describe("cost", () => costCases(makeMedium));
    describe("backlog", () => backlogCases(makeMedium));
    describe("purge", () => purgeCases(makeMedium));
  });
}
