/** A backend that keeps every request as S3 would authorise it. */
import type { StorageBackend } from "opslog-serverless";
import type { AwsRequest } from "./policy.ts";

export interface Recorded {
  readonly backend: StorageBackend;
  readonly requests: AwsRequest[];
}

/** @param bucketArn where the store is said to lie, with `prefix` */
export function recorded(inner: StorageBackend, bucketArn: string, prefix: string): Recorded {
  const requests: AwsRequest[] = [];
  const note = (action: string, path: string, context: Record<string, string> = {}): void => {
    const resource = `${bucketArn}/${prefix}/${path}`;
    requests.push({ action, resource, context: { "aws:SecureTransport": "true", ...context } });
  };
  const noteList = (context: Record<string, string>): void => {
    const secure = { "aws:SecureTransport": "true", ...context };
    requests.push({ action: "s3:ListBucket", resource: bucketArn, context: secure });
  };
  const calls: Partial<StorageBackend> = {
    get: async (path, options) => {
      note("s3:GetObject", path);
      const result = await inner.get(path, options);
      // What S3 asks for before it says 404.
      if (result.status === "absent") noteList({});
      return result;
    },
    put: (path, body, precondition, options) => {
      const context: Record<string, string> = {};
      if (precondition !== "none" && "ifAbsent" in precondition) context["s3:if-none-match"] = "*";
      if (precondition !== "none" && "ifMatch" in precondition) {
        context["s3:if-match"] = precondition.ifMatch;
      }
      note("s3:PutObject", path, context);
      return inner.put(path, body, precondition, options);
    },
    list: (folder, options) => {
      noteList({ "s3:prefix": `${prefix}/${folder}` });
      return inner.list(folder, options);
    },
    delete: (paths, options) => {
      for (const path of paths) note("s3:DeleteObject", path);
      return inner.delete(paths, options);
    },
  };
  const backend = new Proxy<StorageBackend>(inner, {
    get: (target, name) => {
      const value: unknown = Reflect.get(calls, name) ?? Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { backend, requests };
}
