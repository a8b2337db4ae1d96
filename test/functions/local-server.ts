/** The local server, bundled, in processes of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

export interface LocalServer {
  readonly child: ChildProcess;
  /** Everything printed so far. */
  text(): string;
  /** Resolves with what was printed once it matches; rejects when the process ends before. */
  printed(pattern: RegExp): Promise<string>;
  /** Where it listens. */
  url(): Promise<string>;
  /** Exit code, once it has ended. */
  readonly ended: Promise<number | null>;
}

export interface LocalServerOptions {
  /** Where `bundleInto` put the bundles. */
  readonly bundles: string;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string | undefined;
}

export function startLocal({ bundles, env, cwd = bundles }: LocalServerOptions): LocalServer {
  const child = spawn(process.execPath, [join(bundles, "local.mjs")], {
    cwd,
    env: { PATH: process.env["PATH"], PORT: "0", ...env },
  });
  let text = "";
  const ended = once(child, "close").then(() => child.exitCode);
  const collect = (chunk: Buffer): void => {
    text += chunk.toString();
    child.emit("printed");
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const printed = async (pattern: RegExp): Promise<string> => {
    while (!pattern.test(text)) {
      const end = await Promise.race([once(child, "printed"), ended]);
      if (!Array.isArray(end)) throw new Error(`ended with ${end} and printed: ${text}`);
    }
    return text;
  };
  const url = async (): Promise<string> => {
    const [, found = ""] = (await printed(/Ctrl-C/)).match(/on (http:\S+)/) ?? [];
    return found;
  };
  return { child, text: () => text, printed, url, ended };
}
