/** Conditional requests to several processes at once: one of those that name one state succeeds. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Medium } from "../processes/medium.ts";
import { tempDir } from "../support/temp-dir.ts";
import { type LocalServer, startLocal } from "./local-server.ts";
import { bundleInto } from "./support.ts";

const PROCESSES = 4;
const REQUESTS = 20;
const TIMEOUT_MS = 120_000;

/** @param env the environment of processes that reach the medium */
export function etagSuite(
  openMedium: () => Promise<Medium>,
  env: () => Readonly<Record<string, string>>,
): void {
  let bundles: Awaited<ReturnType<typeof tempDir>>;
  let medium: Medium;
  const servers: LocalServer[] = [];
  let urls: readonly string[];

  beforeAll(async () => {
    bundles = await tempDir();
    await bundleInto(bundles.path);
    medium = await openMedium();
    // Each compacts as well: that races with the requests.
    const options = {
      bundles: bundles.path,
      env: { ...env(), OPSLOG_LOCATION: medium.location, OPSLOG_COMPACT_SECONDS: "1" },
    };
    servers.push(...Array.from({ length: PROCESSES }, () => startLocal(options)));
    urls = await Promise.all(servers.map((server) => server.url()));
  }, TIMEOUT_MS);

  afterAll(async () => {
    for (const { child } of servers) child.kill("SIGKILL");
    await Promise.all(servers.map(({ ended }) => ended));
    await medium[Symbol.asyncDispose]();
    await bundles[Symbol.asyncDispose]();
  });

  interface Answer {
    readonly status: number;
    readonly etag: string | null;
    readonly body: string;
  }

  async function send(
    at: number,
    method: string,
    id: string,
    conditions: Record<string, string> = {},
    body?: string,
  ): Promise<Answer> {
    const headers = { ...conditions, "content-type": "application/json" };
    const init = { method, headers, ...(body === undefined ? {} : { body }) };
    const answer = await fetch(`${urls[at % PROCESSES]}/records/${id}`, init);
    return {
      status: answer.status,
      etag: answer.headers.get("etag"),
      body: await answer.text(),
    };
  }

  /** All at once, spread over the processes; how many succeeded, and that the others were refused. */
  async function race(
    method: string,
    id: string,
    headers: Record<string, string>,
    body?: (n: number) => string,
  ): Promise<{ readonly winners: Answer[]; readonly losers: Answer[] }> {
    const answers = await Promise.all(
      Array.from({ length: REQUESTS }, (_, n) => send(n, method, id, headers, body?.(n))),
    );
    const winners = answers.filter(({ status }) => status < 300);
    const losers = answers.filter(({ status }) => status === 412);
    expect(answers.filter(({ status }) => status >= 300 && status !== 412)).toEqual([]);
    return { winners, losers };
  }

  test(
    `of ${REQUESTS} PUTs with one ETag, one succeeds, also of the same JSON`,
    { timeout: TIMEOUT_MS },
    async () => {
      let { etag } = await send(0, "PUT", "edited", {}, "0");
      for (const body of [() => '"same"', (n: number) => `${n}`]) {
        const { winners, losers } = await race("PUT", "edited", { "if-match": `${etag}` }, body);
        expect(winners).toHaveLength(1);
        const now = await send(1, "GET", "edited");
        expect(now).toMatchObject({ etag: winners[0]?.etag, body: winners[0]?.body });
        // Those that were refused are told by what.
        expect(new Set(losers.map((loser) => loser.etag))).toEqual(new Set([now.etag]));
        expect(now.etag).not.toBe(etag);
        ({ etag } = now);
      }
      const { winners } = await race("DELETE", "edited", { "if-match": `${etag}` });
      expect(winners).toHaveLength(1);
      expect((await send(2, "GET", "edited")).status).toBe(404);
    },
  );

  test(
    `of ${REQUESTS} PUTs with If-None-Match: *, one succeeds, also where a record was deleted`,
    { timeout: TIMEOUT_MS },
    async () => {
      for (const round of ["first", "second"]) {
        const body = (n: number): string => JSON.stringify({ round, n });
        const { winners } = await race("PUT", "unique", { "if-none-match": "*" }, body);
        expect(winners).toMatchObject([{ status: 201 }]);
        const now = await send(3, "GET", "unique");
        expect(now).toMatchObject({ etag: winners[0]?.etag, body: winners[0]?.body });
        expect((await send(1, "DELETE", "unique", { "if-match": `${now.etag}` })).status).toBe(204);
      }
    },
  );

  test(
    "a counter of clients that read and write by ETag loses nothing",
    { timeout: TIMEOUT_MS },
    async () => {
      await send(0, "PUT", "counter", {}, "0");
      const increment = async (at: number): Promise<void> => {
        for (;;) {
          const { body, etag } = await send(at, "GET", "counter");
          const headers = { "if-match": `${etag}` };
          const { status } = await send(at, "PUT", "counter", headers, `${Number(body) + 1}`);
          if (status === 200) return;
          expect([409, 412]).toContain(status);
        }
      };
      await Promise.all(Array.from({ length: REQUESTS }, (_, n) => increment(n)));
      expect((await send(0, "GET", "counter")).body).toBe(`${REQUESTS}`);
    },
  );
}
