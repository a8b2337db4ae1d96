/** An S3 client that keeps objects in a map: all that the original's S3 backend asks of one. */
import type { S3Client } from "@aws-sdk/client-s3";

interface Command {
  readonly constructor: { readonly name: string };
  readonly input: {
    readonly Key?: string;
    readonly Prefix?: string;
    readonly Body?: string;
    readonly IfNoneMatch?: string;
  };
}

/** @param objects contents by key; changed in place */
export function objectClient(objects: Map<string, string>): S3Client {
  const send = (command: Command): Promise<unknown> => {
    const { Key = "", Prefix = "", Body = "", IfNoneMatch } = command.input;
    const found = objects.get(Key);
    switch (command.constructor.name) {
      case "PutObjectCommand":
        if (IfNoneMatch === "*" && found !== undefined) return refuse("PreconditionFailed", 412);
        objects.set(Key, Body);
        return Promise.resolve({ ETag: `"${Body.length}"` });
      case "GetObjectCommand":
      case "HeadObjectCommand":
        if (found === undefined) return refuse("NoSuchKey", 404);
        return Promise.resolve({
          ETag: `"${found.length}"`,
          Body: { transformToString: () => Promise.resolve(found) },
        });
      case "DeleteObjectCommand":
        objects.delete(Key);
        return Promise.resolve({});
      case "ListObjectsV2Command": {
        const keys = [...objects.keys()].filter((key) => key.startsWith(Prefix)).toSorted();
        return Promise.resolve({ Contents: keys.map((key) => ({ Key: key })), IsTruncated: false });
      }
      default:
        return Promise.reject(new Error(`no ${command.constructor.name} here`));
    }
  };
  const client: unknown = { send, destroy: () => undefined };
  // The original uses nothing else of a client.
  return client as S3Client;
}

function refuse(name: string, httpStatusCode: number): Promise<never> {
  return Promise.reject(Object.assign(new Error(name), { name, $metadata: { httpStatusCode } }));
}
