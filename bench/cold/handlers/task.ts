/** What every measured handler does: read one record, or write one. */
export interface TaskEvent {
  readonly op: "read" | "write";
  readonly id: string;
  readonly value?: object;
}

export interface TaskContext {
  readonly awsRequestId: string;
  getRemainingTimeInMillis(): number;
}

/** The record that was read; of a write nothing. */
export type TaskHandler = (event: TaskEvent, context: TaskContext) => Promise<unknown>;

/** `s3://bucket/prefix`, apart. */
export function placeOf(location = process.env["OPSLOG_LOCATION"] ?? ""): {
  readonly bucket: string;
  readonly prefix: string;
} {
  const [, bucket = "", prefix = ""] = /^s3:\/\/([^/]+)\/(.+)$/.exec(location) ?? [];
  return { bucket, prefix };
}
