/** From LOCATION to a backend. */
import { FsBackend, type StorageBackend } from "opslog-serverless";

/** Requests to S3 and what they brought; stays 0 on a directory. */
export interface Traffic {
  requests: number;
  bytesIn: number;
}

/**
 * A directory, or `s3://bucket/prefix` with the SDK's usual environment: AWS_ENDPOINT_URL_S3,
 * AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or a profile.
 */
export async function createBackend(location: string, traffic?: Traffic): Promise<StorageBackend> {
  if (!location.startsWith("s3://")) return new FsBackend();
  // Loaded here, so that a run on a directory does without the SDK.
  const { S3Backend } = await import("opslog-serverless/s3");
  return new S3Backend({
    onRequest: ({ bytesIn }) => {
      if (traffic === undefined) return;
      traffic.requests++;
      traffic.bytesIn += bytesIn;
    },
  });
}

export interface MediumSize {
  readonly objects: number;
  readonly bytes: number;
  /** Of runs that the manifest does not name any more, kept for slow readers. */
  readonly retiredBytes: number;
  readonly runs: number;
}

/** Asks the medium itself. @param backend bound to the store's location */
export async function measureMedium(backend: StorageBackend): Promise<MediumSize> {
  const live = await liveRuns(backend);
  let [objects, bytes, runsBytes] = [0, 0, 0];
  let liveBytes = 0;
  for await (const page of backend.list("")) {
    for (const object of page.objects) {
      objects++;
      bytes += object.bytes;
      if (object.path.startsWith("snapshots/")) runsBytes += object.bytes;
      if (live.has(object.path)) liveBytes += object.bytes;
    }
  }
  return { objects, bytes, retiredBytes: runsBytes - liveBytes, runs: live.size / 2 };
}

/** Paths of the runs that the manifest names, and of their indexes. */
async function liveRuns(backend: StorageBackend): Promise<ReadonlySet<string>> {
  const manifest: unknown = JSON.parse((await backend.readBlob("manifest.json")).toString());
  if (typeof manifest !== "object" || manifest === null || !("runs" in manifest)) return new Set();
  const runs: readonly unknown[] = Array.isArray(manifest.runs) ? manifest.runs : [];
  return new Set(runs.flatMap(pathsOf));
}

function pathsOf(run: unknown): string[] {
  if (typeof run !== "object" || run === null || !("path" in run && "index" in run)) return [];
  return [run.path, run.index].filter((path) => typeof path === "string");
}
