/** How handlers reach S3 where they bring no backend: through the SDK, or the light client. */
import type { StoreCriteria } from "../s3/objects/discover.ts";
import type { StorageBackend } from "../storage/backend.ts";

export interface S3Access {
  /** A backend for one location. */
  backend(): StorageBackend;
  /** One of several, which share connections. */
  sharedBackend(): StorageBackend;
  /** As `listLocations` of src/s3/objects/discover.ts. */
  listLocations(under: string, criteria: StoreCriteria): Promise<string[]>;
}
