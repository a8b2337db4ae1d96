/** The original, opened for an invocation as its documentation shows: read only, or as an agent. */
import { Store } from "@backloghq/opslog";
import { S3Backend } from "@backloghq/opslog-s3";
import { S3Client } from "@aws-sdk/client-s3";
import { placeOf, type TaskHandler } from "./task.ts";

const client = new S3Client({
  forcePathStyle: true,
  requestChecksumCalculation: "WHEN_REQUIRED",
  responseChecksumValidation: "WHEN_REQUIRED",
});

export const handler: TaskHandler = async ({ op, id, value = {} }, { awsRequestId: agentId }) => {
  const store = new Store<object>();
  await store.open("", {
    backend: new S3Backend({ ...placeOf(), client }),
    ...(op === "read" ? { readOnly: true } : { agentId }),
    checkpointOnClose: false,
    checkpointThreshold: Infinity,
  });
  try {
    if (op === "read") return store.get(id);
    await store.set(id, value);
    return undefined;
  } finally {
    await store.close();
  }
};
