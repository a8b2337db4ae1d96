/** No store: an object per record, through the AWS SDK. */
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { placeOf, type TaskHandler } from "./task.ts";

const client = new S3Client({
  forcePathStyle: true,
  requestChecksumCalculation: "WHEN_REQUIRED",
  responseChecksumValidation: "WHEN_REQUIRED",
});
const { bucket: Bucket, prefix } = placeOf();

export const handler: TaskHandler = async ({ op, id, value }) => {
  const Key = `${prefix}/${id}`;
  if (op === "write") {
    await client.send(new PutObjectCommand({ Bucket, Key, Body: JSON.stringify(value) }));
    return undefined;
  }
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
  return JSON.parse((await Body?.transformToString()) ?? "null");
};
