/** What the themes of the conformance suite share. */
import { mapParallel } from "../core/parallel.ts";
import { isError } from "../core/realm.ts";
import assert from "node:assert/strict";
import type { FoundObject, GetOptions, ListPage, StorageBackend } from "../storage/backend.ts";

/** A backend and the location that a test uses. */
export interface BackendUnderTest extends AsyncDisposable {
  /** Initialized, writable, on a location that holds nothing. */
  readonly backend: StorageBackend;
  /** An empty location, passed to `initialize`. */
  readonly location: string;
  /** One more backend, initialized on the same location: it behaves like another process. */
  reopen?(): Promise<StorageBackend>;
}

export interface Case {
  readonly name: string;
  run(subject: BackendUnderTest): Promise<void>;
}

/** A medium's clocks may differ by this much (protocol: "to within a few minutes"). */
const CLOCK_SKEW_MS_MAX = 5 * 60_000;

/** How many requests a case has under way at once. */
const PARALLEL = 32;

export function bytes(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

export function text(body: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(body);
}

export async function put(backend: StorageBackend, path: string, content: string): Promise<string> {
  const result = await backend.put(path, bytes(content), "none");
  assert.equal(result.status, "written", `put "none" of ${path}`);
  return result.etag;
}

export async function find(
  backend: StorageBackend,
  path: string,
  options?: GetOptions,
): Promise<FoundObject> {
  const result = await backend.get(path, options);
  assert.equal(result.status, "found", `get of ${path}`);
  return result;
}

export async function findText(backend: StorageBackend, path: string): Promise<string> {
  return text((await find(backend, path)).body);
}

export async function assertAbsent(backend: StorageBackend, path: string): Promise<void> {
  assert.equal((await backend.get(path)).status, "absent", `get of ${path}`);
}

/** Every page of a listing, checked for its form. */
export async function listPages(backend: StorageBackend, prefix: string): Promise<ListPage[]> {
  const pages: ListPage[] = [];
  for await (const page of backend.list(prefix)) pages.push(page);
  pages.forEach((page, index) => {
    const last = index === pages.length - 1;
    assert.equal(page.truncated, !last, `truncated of page ${index + 1} of ${pages.length}`);
    assertDate(page.dateMs);
  });
  return pages;
}

/** Sorted paths below `prefix`; a path listed twice stays twice. */
export async function listPaths(backend: StorageBackend, prefix: string): Promise<string[]> {
  const pages = await listPages(backend, prefix);
  return pages.flatMap(({ objects }) => objects.map(({ path }) => path)).toSorted();
}

export function assertDate(ms: number): void {
  assert.ok(Number.isFinite(ms) && ms >= 0, `a date must be ms since 1970, found ${ms}`);
}

export function assertSameTime(a: number, b: number): void {
  assertDate(a);
  assertDate(b);
  assert.ok(Math.abs(a - b) <= CLOCK_SKEW_MS_MAX, `dates of one moment differ: ${a} and ${b}`);
}

/** Fails unless the call throws or rejects with an error of this `code`. */
export async function assertFails(
  call: () => unknown,
  code: string,
  what: string,
): Promise<Error & { code: string }> {
  try {
    await call();
  } catch (error) {
    assert.ok(isError(error), `${what}: must fail with an Error, found ${String(error)}`);
    assert.ok("code" in error, `${what}: expected code ${code}, found an error without: ${error}`);
    assert.equal(error.code, code, `${what}: ${error}`);
    return Object.assign(error, { code });
  }
  assert.fail(`${what}: expected an error with code ${code}, but it succeeded`);
}

/** Runs `work` for every item, a bounded number at once. */
export async function forEachParallel<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  await mapParallel(items, PARALLEL, work);
}
