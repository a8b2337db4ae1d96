/**
 * Conditional requests (RFC 9110, section 13): a record's ETag is its version, and what a
 * precondition was checked against is the condition of the write. So they are exact, whichever
 * processes serve the requests.
 */
import {
  ConditionFailedError,
  NotSupportedError,
  type Store,
  type VersionToken,
  WriteOutcomeUnknownError,
} from "opslog-serverless";
import { type JsonValue, Problem } from "./http.ts";
import { names, type Preconditions, preconditionsOf } from "./preconditions.ts";

/** A record, with the ETag of what it was then or is now: never of anything later. */
export interface Tagged {
  readonly value: JsonValue;
  readonly etag: string;
}

/** A record as a precondition is checked against it. */
interface Found {
  readonly value: JsonValue | undefined;
  readonly version: VersionToken | undefined;
}

/** A record before it was changed, and its ETag after it, if that is known. */
export interface Changed {
  readonly before: JsonValue | undefined;
  readonly etag: string | undefined;
}

/** `If-Match: *` and the like, which other writes do not refuse, are tried again for so long. */
const CONTENDED_MS = 10_000;
const PAUSE_MS_MAX = 100;

/** Tags of records of one version of a program. */
export class ETags {
  readonly #suffix: string;

  /** @param schema a migration changes what is shown of a record, not its version */
  constructor(schema = 1) {
    this.#suffix = schema === 1 ? "" : `.${schema}`;
  }

  /** Undefined: there is no such record. */
  async read(store: Store<JsonValue>, id: string): Promise<Tagged | undefined> {
    const { value, version } = await find(store, id);
    if (version === undefined || value === undefined) return undefined;
    return { value, etag: this.#of(version) };
  }

  /**
   * Changes the record if the preconditions hold.
   * @param change the record as it is to be, undefined to delete it; may be called again
   * @throws Problem 400, 409, 412, 503
   */
  async change(
    store: Store<JsonValue>,
    id: string,
    headers: Headers,
    change: (current: JsonValue | undefined) => JsonValue | undefined,
  ): Promise<Changed> {
    const wanted = preconditionsOf(headers);
    try {
      return await (wanted === undefined
        ? this.#update(store, id, change)
        : this.#changeIf(store, id, wanted, change));
    } catch (error) {
      if (wanted === undefined || !(error instanceof NotSupportedError)) throw error;
      const { code } = error;
      const detail =
        "This store takes conditions from the compaction on that follows its first write. Nothing was written.";
      throw new Problem(503, detail, { code, headers: { "retry-after": "60" } });
    }
  }

  async #update(
    store: Store<JsonValue>,
    id: string,
    change: (current: JsonValue | undefined) => JsonValue | undefined,
  ): Promise<Changed> {
    for (;;) {
      let before: JsonValue | undefined;
      let after: JsonValue | undefined;
      const updated = store.update(id, (current) => {
        before = current;
        return (after = change(current));
      });
      if (await isSettled(updated)) return this.#changed(store, id, before, after);
    }
  }

  /** The ETag only if the record is still what was written: another may have written it since. */
  async #changed(
    store: Store<JsonValue>,
    id: string,
    before: JsonValue | undefined,
    after: JsonValue | undefined,
  ): Promise<Changed> {
    const found = after === undefined ? undefined : await this.read(store, id);
    const isOwn = found !== undefined && JSON.stringify(found.value) === JSON.stringify(after);
    return { before, etag: isOwn ? found.etag : undefined };
  }

  async #changeIf(
    store: Store<JsonValue>,
    id: string,
    wanted: Preconditions,
    change: (current: JsonValue | undefined) => JsonValue | undefined,
  ): Promise<Changed> {
    const untilMs = performance.now() + CONTENDED_MS;
    let found = await find(store, id);
    // The store's view may be older than the client's: one that refuses is looked at again.
    if (this.#refusal(wanted, found) !== undefined) found = await find(store, id, "strong");
    for (;;) {
      const refusal = this.#refusal(wanted, found);
      if (refusal !== undefined) throw refusal;
      const { value: before, version } = found;
      const after = change(before);
      let written: VersionToken | undefined;
      try {
        const writing = writeOver(store, id, version, after).then((token) => (written = token));
        if (await isSettled(writing)) {
          if (written !== undefined) return { before, etag: this.#of(written) };
          return await this.#changed(store, id, before, after);
        }
        found = await find(store, id, "strong");
      } catch (error) {
        if (!(error instanceof ConditionFailedError)) throw error;
        // Another was faster: whether the preconditions hold of what that one left is to be seen.
        found = { value: valueOf(error), version: error.found };
        if (performance.now() >= untilMs) throw contended(this.#headersOf(found));
        await new Promise((resolve) => setTimeout(resolve, Math.random() * PAUSE_MS_MAX));
      }
    }
  }

  /** Undefined: they hold. */
  #refusal({ match, noneMatch }: Preconditions, found: Found): Problem | undefined {
    const etag = found.version === undefined ? undefined : this.#of(found.version);
    const answer = { headers: this.#headersOf(found) };
    if (match !== undefined && !names(match, etag, "strong")) {
      return new Problem(412, "If-Match: the record is not the one named.", answer);
    }
    if (noneMatch !== undefined && names(noneMatch, etag, "weak")) {
      return new Problem(412, "If-None-Match: the record is there.", answer);
    }
    return undefined;
  }

  #headersOf({ version }: Found): Record<string, string> {
    return version === undefined ? {} : { etag: this.#of(version) };
  }

  #of(version: VersionToken): string {
    return `"${version}${this.#suffix}"`;
  }
}

/** The version first: the value is then of it, or of a later one that the write will not be over. */
async function find(store: Store<JsonValue>, id: string, freshness?: "strong"): Promise<Found> {
  const version = await store.versionOf(id, { freshness });
  const value = version === undefined ? undefined : store.get(id);
  return { value, version: value === undefined ? undefined : version };
}

/** The store need not look again: it was just looked at, and others' writes refuse this one. */
async function writeOver(
  store: Store<JsonValue>,
  id: string,
  ifVersion: VersionToken | undefined,
  after: JsonValue | undefined,
): Promise<VersionToken | undefined> {
  if (after !== undefined) {
    const condition = ifVersion === undefined ? { ifAbsent: true } : { ifVersion };
    return (await store.set(id, after, { ...condition, fresh: false })).version;
  }
  if (ifVersion !== undefined) await store.delete(id, { ifVersion, fresh: false });
  return undefined;
}

/**
 * Whether a write was carried out; false: it never will be. The same bytes once more tell what became
 * of one whose answer was lost.
 * @throws what it failed with
 */
async function isSettled(written: Promise<unknown>): Promise<boolean> {
  try {
    await written;
    return true;
  } catch (error) {
    if (!(error instanceof WriteOutcomeUnknownError)) throw error;
    // Where that fails, too, the outcome is as unknown as before.
    const outcome = await error.settle?.().catch(() => undefined);
    if (outcome === undefined) throw error;
    return outcome === "written";
  }
}

function valueOf(error: ConditionFailedError): JsonValue | undefined {
  // What the store holds are records of this service.
  return error.value as JsonValue | undefined;
}

function contended(headers: Record<string, string>): Problem {
  const detail = "Others changed the record again and again. Nothing was written; try again.";
  return new Problem(409, detail, {
    code: "CONFLICT",
    headers: { ...headers, "retry-after": "1" },
  });
}
