/** Optimistic concurrency: a record's ETag is its version, and preconditions name one. */
import type { Store, VersionToken } from "opslog-serverless";
import { type JsonValue, Problem } from "./http.ts";

/** A record, with the ETag of what it was then or is now: never of anything later. */
export interface Tagged {
  readonly value: JsonValue;
  readonly etag: string;
}

/** Tags of records of one version of a program. */
export class ETags {
  readonly #suffix: string;

  /** @param schema a migration changes what is shown of a record, not its version */
  constructor(schema = 1) {
    this.#suffix = schema === 1 ? "" : `.${schema}`;
  }

  /** Undefined: there is no such record. */
  async read(store: Store<JsonValue>, id: string): Promise<Tagged | undefined> {
    const version = await store.versionOf(id);
    const value = store.get(id);
    if (version === undefined || value === undefined) return undefined;
    return { value, etag: this.#of(version) };
  }

  /**
   * Changes the record if the preconditions hold. Not atomic across processes.
   * @param change as `Store.update` takes it
   * @throws Problem 412
   */
  async update(
    store: Store<JsonValue>,
    id: string,
    headers: Headers,
    change: (current: JsonValue | undefined) => JsonValue | undefined,
  ): Promise<void> {
    const isConditional = headers.has("if-match") || headers.has("if-none-match");
    for (let isDone = false; !isDone;) {
      const before = isConditional ? await this.read(store, id) : undefined;
      // It throws where the record is another one by then: so nothing is written.
      isDone = true;
      await store
        .update(id, (current) => {
          if (isConditional) {
            if (!isSame(current, before?.value)) throw new Moved();
            checkPreconditions(headers, before?.etag);
          }
          return change(current);
        })
        .catch((error: unknown) => {
          if (!(error instanceof Moved)) throw error;
          isDone = false;
        });
    }
  }

  #of(version: VersionToken): string {
    return `"${version}${this.#suffix}"`;
  }
}

/** The record was changed between the look at its version and the update. */
class Moved extends Error {
  override readonly name = "Moved";
}

function isSame(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** Whether `If-None-Match` names the representation: a GET is answered 304. */
export function isUnchanged(headers: Headers, etag: string): boolean {
  return names(headers.get("if-none-match"), etag, true);
}

/**
 * @param etag of the record as it is, undefined when there is none
 * @throws Problem 412 when `If-Match` or `If-None-Match` does not hold
 */
function checkPreconditions(headers: Headers, etag: string | undefined): void {
  const answer = etag === undefined ? {} : { headers: { etag } };
  const wanted = headers.get("if-match");
  if (wanted !== null && !names(wanted, etag, false)) {
    throw new Problem(412, "If-Match: the record is not the one named.", answer);
  }
  if (names(headers.get("if-none-match"), etag, true)) {
    throw new Problem(412, "If-None-Match: the record is there.", answer);
  }
}

/** If-Match compares strongly: a weak tag names nothing. */
function names(header: string | null, etag: string | undefined, weak: boolean): boolean {
  if (header === null || etag === undefined) return false;
  if (header.trim() === "*") return true;
  const tags = header.split(",").map((tag) => tag.trim());
  return tags.some((tag) => (weak ? tag.replace(/^W\//, "") : tag) === etag);
}
