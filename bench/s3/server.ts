/** The S3 server that is measured against: the one that is there, or one of our own. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
/** From the package's root, where npm starts scripts. */
const SCRIPT = resolve("test/support/ceph-rgw.sh");

/**
 * Sets OPSLOG_TEST_S3_ENDPOINT and the credentials, unless they are set; modules that read them as
 * they load come after this. Its ports are those of ceph-rgw.sh (RGW_PORT, MON_PORT, MON_V1_PORT).
 */
export async function s3Server(): Promise<AsyncDisposable & { readonly endpoint: string }> {
  const { OPSLOG_TEST_S3_ENDPOINT: given } = process.env;
  if (given) return { endpoint: given, [Symbol.asyncDispose]: async () => {} };
  const directory = await mkdtemp(join(tmpdir(), "opslog-bench-rgw-"));
  await run("bash", [SCRIPT, "install"]);
  const { stdout } = await run("bash", [SCRIPT, "start", directory]);
  for (const line of stdout.split("\n")) {
    const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined) process.env[name] = value;
  }
  const { OPSLOG_TEST_S3_ENDPOINT: endpoint } = process.env;
  if (!endpoint) throw new Error(`${SCRIPT} start named no endpoint: ${stdout}`);
  return {
    endpoint,
    [Symbol.asyncDispose]: async () => {
      await run("bash", [SCRIPT, "stop", directory]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
