/** Schema versions: every record carries the one it was written under and is migrated on read. */
import { InvalidArgumentError, SchemaTooNewError } from "./errors.ts";
import { isHidden } from "./hidden.ts";
import { messageOf } from "./realm.ts";
import { copyRecord } from "./record.ts";

export interface Schema {
  /** Version that this program writes. */
  readonly version: number;
  /** Pure; without it older records are handed out as they are. */
  readonly migrate: ((record: unknown, fromVersion: number) => unknown) | undefined;
}

/** Of a program that takes records of whatever version as they are stored. */
export const UNMIGRATED: Schema = { version: Number.MAX_SAFE_INTEGER, migrate: undefined };

/** The application code for records, which a compactor does not have. */
export interface Migration {
  /** Schema version that `migrate` returns. */
  readonly version: number;
  /** The stored JSON of a record, from that of an older version. @throws InvalidArgumentError */
  migrate(id: string, text: string, fromVersion: number): string;
}

/**
 * The record as this program works with it.
 * @throws SchemaTooNewError for a record of a newer version, InvalidArgumentError when `migrate` fails
 */
export function migrateRecord(
  schema: Schema,
  id: string,
  record: unknown,
  version: number,
): unknown {
  if (record === undefined || version === schema.version) return record;
  checkSchema(schema, version, `record '${id}'`, id);
  if (schema.migrate === undefined || isHidden(id)) return record;
  try {
    return copyRecord(id, schema.migrate(record, version)).value;
  } catch (cause) {
    const reason = messageOf(cause);
    throw new InvalidArgumentError(
      `migrate failed on record '${id}' from version ${version} to ${schema.version}: ${reason}`,
      { id, cause },
    );
  }
}

/** How checkpoints migrate; undefined when the program brings no `migrate`. */
export function migrationOf(schema: Schema): Migration | undefined {
  if (schema.migrate === undefined) return undefined;
  return {
    version: schema.version,
    migrate: (id, text, fromVersion) =>
      JSON.stringify(migrateRecord(schema, id, JSON.parse(text), fromVersion)),
  };
}

/** @throws SchemaTooNewError */
export function checkSchema(schema: Schema, version: number, what: string, id?: string): void {
  if (version <= schema.version) return;
  throw new SchemaTooNewError(
    `${what} was written under schema version ${version}, this store is open with version ` +
      `${schema.version}: roll out the newer code to readers first`,
    { id },
  );
}
