/**
 * A small S3 server in this process, which keeps objects in memory: it honours If-None-Match and
 * If-Match of a PUT, or takes them and ignores them, as s3rver, older MinIO and many emulators do.
 */
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";

export interface SmallS3Server extends AsyncDisposable {
  readonly endpoint: string;
  /** Those that are ignored. */
  ignored: readonly ("if-none-match" | "if-match")[];
  /** By key. */
  readonly objects: Map<string, Buffer>;
  /** "PUT bucket/key 200", in order. */
  readonly requests: string[];
}

export async function smallS3Server(): Promise<SmallS3Server> {
  const objects = new Map<string, Buffer>();
  const requests: string[] = [];
  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch((error: unknown) => outgoing.destroy(error as Error));
  });

  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const body = await buffer(incoming);
    const { pathname, searchParams } = new URL(incoming.url ?? "/", "http://localhost");
    const path = decodeURIComponent(pathname.slice(1));
    const answer = (status: number, text: string | Buffer = "", etag?: string): void => {
      requests.push(`${incoming.method} ${path} ${status}`);
      const headers = etag === undefined ? {} : { etag: `"${etag}"` };
      outgoing
        .writeHead(status, { "last-modified": new Date().toUTCString(), ...headers })
        .end(text);
    };
    const key = path.slice(path.indexOf("/") + 1);
    const current = objects.get(key);
    switch (incoming.method) {
      case "GET": {
        if (searchParams.has("list-type"))
          return answer(200, listed(searchParams.get("prefix") ?? ""));
        if (current === undefined) return answer(404, failure("NoSuchKey"));
        const etag = etagOf(current);
        const isKnown = incoming.headers["if-none-match"]?.includes(etag) === true;
        return isKnown ? answer(304) : answer(200, current, etag);
      }
      case "HEAD":
        return current === undefined ? answer(404) : answer(200, "", etagOf(current));
      case "PUT":
        if (!holds(incoming, current)) return answer(412, failure("PreconditionFailed"));
        objects.set(key, body);
        return answer(200, "", etagOf(body));
      case "DELETE":
        objects.delete(key);
        return answer(204);
      case "POST":
        for (const [, name = ""] of String(body).matchAll(/<Key>(.*?)<\/Key>/g))
          objects.delete(name);
        return answer(200, "<DeleteResult/>");
      default:
        return answer(501, failure("NotImplemented"));
    }
  };

  const holds = ({ headers }: IncomingMessage, current: Buffer | undefined): boolean => {
    const { "if-none-match": absent, "if-match": etag } = headers;
    if (absent !== undefined && !small.ignored.includes("if-none-match"))
      return current === undefined;
    if (etag === undefined || small.ignored.includes("if-match")) return true;
    return current !== undefined && etag.replaceAll('"', "") === etagOf(current);
  };

  const listed = (prefix: string): string => {
    const contents = [...objects].flatMap(([key, { length }]) =>
      key.startsWith(prefix)
        ? [
            `<Contents><Key>${key}</Key><Size>${length}</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>`,
          ]
        : [],
    );
    return `<ListBucketResult><IsTruncated>false</IsTruncated>${contents.join("")}</ListBucketResult>`;
  };

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const small: SmallS3Server = {
    endpoint: `http://127.0.0.1:${address.port}`,
    ignored: [],
    objects,
    requests,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return small;
}

function etagOf(body: Buffer): string {
  return createHash("md5").update(body).digest("hex");
}

function failure(code: string): string {
  return `<Error><Code>${code}</Code><Message>says the test</Message></Error>`;
}
