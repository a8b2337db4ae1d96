/** S3 through the light client. */
import { BucketBackend } from "../s3/bucket-backend.ts";
import { HttpClient } from "../s3/light/http-client.ts";
import { LightS3Backend, lightTransport } from "../s3/light/light-s3-backend.ts";
import { listLocations } from "../s3/objects/discover.ts";
import type { S3Access } from "./s3-access.ts";

export function lightAccess(): S3Access {
  let http: HttpClient | undefined;
  const shared = (): ReturnType<typeof lightTransport> => {
    // Its settings are the defaults, as those of all who use it.
    http ??= new HttpClient(lightTransport({}).settings);
    return lightTransport({}, http);
  };
  return {
    backend: () => new LightS3Backend(),
    sharedBackend: () => {
      const { settings, transport } = shared();
      return new BucketBackend(settings, transport);
    },
    listLocations: (under, criteria) => listLocations(under, shared(), criteria),
  };
}
