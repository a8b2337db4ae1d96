import { liveS3Bucket } from "../support/live-s3.ts";
import type { Medium } from "./medium.ts";

export async function bucketMedium(): Promise<Medium> {
  const live = await liveS3Bucket();
  return {
    location: live.location(),
    [Symbol.asyncDispose]: () => live[Symbol.asyncDispose](),
  };
}
