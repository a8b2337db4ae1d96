/** One Debian package as a record of the store. */

/** A field's text; a number where the field holds one; `Tag` as a list. */
export type FieldValue = string | number | readonly string[];

/** Fields by the names that the package index gives them. */
export type PackageRecord = Readonly<Record<string, FieldValue>>;

export type Entry = readonly [id: string, record: PackageRecord];

/** `bash/5.2.15-2+b7/amd64`; undefined when the value is no package. */
export function packageId(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const fields = new Map<string, unknown>(Object.entries(value));
  const parts = ["Package", "Version", "Architecture"].map((name) => fields.get(name));
  return parts.every((part) => typeof part === "string" && part !== "")
    ? parts.join("/")
    : undefined;
}
