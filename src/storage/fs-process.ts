/** Who holds a lock file, and whether that process can still be at work. */
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { isErrorNamed } from "../core/realm.ts";
import { errno, unlessAbsent } from "./fs-errors.ts";

export interface LockHolder {
  readonly pid: number;
  /** Undefined in a lock file of the original opslog, which is a pid in text. */
  readonly host: string | undefined;
  /** Changes with every boot; undefined where the system has none. */
  readonly bootId: string | undefined;
  /** Clock ticks from boot to the start of the process (Linux), to tell a reused pid. */
  readonly processStart: string | undefined;
  /** Tells this lock from every other; "" in a lock file of the original opslog. */
  readonly token: string;
}

/** `foreign`: on another host, so that nobody here can tell. */
export type HolderState = "alive" | "dead" | "foreign";

export async function thisProcess(token: string): Promise<LockHolder> {
  return {
    pid: process.pid,
    host: hostname(),
    bootId: await readBootId(),
    processStart: (await readProcess(process.pid))?.start,
    token,
  };
}

/** The pid comes first, because that is all the original opslog reads of a lock. */
export function encodeHolder(holder: LockHolder, startedAt: string): Uint8Array {
  return Buffer.from(`${holder.pid} ${JSON.stringify({ ...holder, startedAt })}\n`);
}

/** Undefined for bytes that no holder writes: its writer crashed, or they are no lock at all. */
export function parseHolder(bytes: Uint8Array): LockHolder | undefined {
  // Without the pid in front, which is in the JSON as well; locks of before have none.
  const text = Buffer.from(bytes)
    .toString("utf8")
    .trim()
    .replace(/^\d+ (?=\{)/, "");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (isErrorNamed(error, "SyntaxError")) return undefined;
    throw error;
  }
  if (isPid(value)) {
    return { pid: value, host: undefined, bootId: undefined, processStart: undefined, token: "" };
  }
  if (typeof value !== "object" || value === null) return undefined;
  const field = (name: string): unknown => Object.getOwnPropertyDescriptor(value, name)?.value;
  const [pid, host, token] = [field("pid"), field("host"), field("token")];
  if (!isPid(pid) || typeof host !== "string" || typeof token !== "string") return undefined;
  return {
    pid,
    host,
    token,
    bootId: textOrNothing(field("bootId")),
    processStart: textOrNothing(field("processStart")),
  };
}

/**
 * Whether the holder can still be at work. A process that is dead once stays dead, which is what
 * recovery rests on; one that is only stopped is alive.
 */
export async function stateOf(holder: LockHolder): Promise<HolderState> {
  if (holder.host !== undefined && holder.host !== hostname()) return "foreign";
  const bootId = await readBootId();
  if (holder.bootId !== undefined && bootId !== undefined && holder.bootId !== bootId) {
    return "dead";
  }
  if (!isRunning(holder.pid)) return "dead";
  const found = await readProcess(holder.pid);
  if (found === undefined) return "alive"; // no /proc here; or it ended just now, look again
  if (found.ended) return "dead";
  return holder.processStart === undefined || holder.processStart === found.start
    ? "alive"
    : "dead";
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if (errno(error) === "ESRCH") return false;
    if (errno(error) === "EPERM") return true; // another user's
    throw error;
  }
}

async function readBootId(): Promise<string | undefined> {
  return (await unlessAbsent(readFile("/proc/sys/kernel/random/boot_id", "utf8")))?.trim();
}

/** Fields 3 and 22 of /proc/<pid>/stat; the second field may hold spaces and brackets. */
async function readProcess(pid: number): Promise<{ start: string; ended: boolean } | undefined> {
  const stat = await unlessAbsent(readFile(`/proc/${pid}/stat`, "utf8"));
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, start] = [fields[0], fields[19]];
  if (state === undefined || start === undefined) return undefined;
  return { start, ended: state === "Z" || state === "X" };
}

function isPid(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 && value < 2 ** 31;
}

function textOrNothing(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
