/**
 * Records of two schema versions: those of version 2 end with their number, which `migrate` adds to
 * older ones. The oracle tells writes apart by what both forms have.
 */
export type SchemaVersion = 1 | 2;

/** A record of version 1, as a program of version 1 writes it. */
export interface PlainDoc {
  readonly by: string;
  readonly n: number;
}

export interface Doc extends PlainDoc {
  readonly schema?: 2;
}

const MARK = ',"schema":2}';

/** The record as version 1 wrote it, or would have: the rest of its bytes stays as it is. */
export function plainText(text: string): string {
  return text.endsWith(MARK) ? `${text.slice(0, -MARK.length)}}` : text;
}

/** Whether a stored record has the form of the schema version it is stored under. */
export function hasForm(text: string, version: number): boolean {
  return text.endsWith(MARK) === (version === 2);
}

export function inForm(record: PlainDoc, version: SchemaVersion): Doc {
  return version === 2 ? { ...record, schema: 2 } : record;
}
