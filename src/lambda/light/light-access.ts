/** S3 through the light client. */
import { LightS3Backend, lightTransport } from "../../s3/light/light-s3-backend.ts";
import { listLocations } from "../../s3/objects/discover.ts";
import type { S3Access } from "../s3-access.ts";

export function lightAccess(): S3Access {
  const backend = (): LightS3Backend => new LightS3Backend();
  return {
    backend,
    sharedBackend: backend,
    listLocations: async (under, isStore) => {
      const { settings, transport } = lightTransport({});
      try {
        return await listLocations(under, { settings, transport }, isStore);
      } finally {
        transport.close();
      }
    },
  };
}
