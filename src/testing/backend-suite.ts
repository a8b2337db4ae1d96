/**
 * The contract of `StorageBackend`, as tests that need no particular test runner. What is not
 * offered (`appendable`, `lock`, `reportsRequests`) is not tested; everything else must hold.
 *
 * ```ts
 * import { test } from "vitest";
 * import { backendSuite } from "opslog-serverless/testing";
 * backendSuite({ test, factory: openFreshBackend });
 * ```
 */
import { appendCases, lockCases } from "./append-lock-cases.ts";
import { blobCases } from "./blob-cases.ts";
import { createCases } from "./create-cases.ts";
import { deleteCases } from "./delete-cases.ts";
import { getCases } from "./get-cases.ts";
import { listCases } from "./list-cases.ts";
import { pathCases } from "./path-cases.ts";
import { reportCases } from "./report-cases.ts";
import { streamCases } from "./stream-cases.ts";
import type { BackendUnderTest, Case } from "./support.ts";
import { swapCases } from "./swap-cases.ts";

export type { BackendUnderTest } from "./support.ts";

/** Options of `backendSuite`. */
export interface BackendSuiteOptions {
  /** The runner's way to declare a test: vitest's or node:test's `test`. Allow 20 s for each. */
  readonly test: (name: string, fn: () => Promise<void>) => void;
  /** Called once per test; returns a backend that is initialized for writing and holds nothing. */
  readonly factory: () => Promise<BackendUnderTest>;
}

/** Declares one test per sentence of the contract. Failures are node:assert errors. */
export function backendSuite({ test, factory }: BackendSuiteOptions): void {
  const cases: readonly Case[] = [
    ...getCases,
    ...createCases,
    ...swapCases,
    ...streamCases,
    ...listCases,
    ...deleteCases,
    ...blobCases,
    ...pathCases,
    ...reportCases,
    ...appendCases,
    ...lockCases,
  ];
  for (const { name, run } of cases) {
    test(name, async () => {
      const subject = await factory();
      try {
        await run(subject);
      } finally {
        await subject[Symbol.asyncDispose]();
      }
    });
  }
}
