/** Who holds a lock file, and whether that process can still be at work. */
import { readFile, readlink } from "node:fs/promises";
import { hostname } from "node:os";
import { systemRuntime } from "../../core/runtime.ts";
import { isErrorNamed } from "../../core/realm.ts";
import { errno, isAbsent } from "./errors.ts";
import { isAnswered } from "./lifeline.ts";

/** By so much a file's date and this process's may differ. */
const DATE_SLACK_MS = 2_000;

const NOWHERE = {
  host: undefined,
  bootId: undefined,
  pidSpace: undefined,
  netSpace: undefined,
  processStart: undefined,
  lifeline: undefined,
  ttlMs: undefined,
} as const;

export interface LockHolder {
  readonly pid: number;
  /** Undefined in a legacy lock file, which is a pid in text. */
  readonly host: string | undefined;
  /** Changes with every boot; undefined where the system has none. */
  readonly bootId: string | undefined;
  /** The namespaces that `pid` and `lifeline` mean something in (Linux). */
  readonly pidSpace: string | undefined;
  readonly netSpace: string | undefined;
  /** Clock ticks from boot to the start of the process (Linux), to recognise a reused pid. */
  readonly processStart: string | undefined;
  /** Listens while the holder lives. */
  readonly lifeline: string | undefined;
  /** How long its beats may be absent. */
  readonly ttlMs: number | undefined;
  /** Tells this lock from every other; "" in a legacy lock file. */
  readonly token: string;
}

/**
 * `unknown`: on another kernel, or in another container, so that it is undecidable here. `doubted`: so,
 * but no such process is here, and its host has our name.
 */
export type HolderState = "alive" | "dead" | "doubted" | "unknown";

type Place = Pick<LockHolder, "host" | "bootId" | "pidSpace" | "netSpace">;

async function thisPlace(): Promise<Place> {
  const [bootId, pidSpace, netSpace] = await Promise.all([
    readBootId(),
    readSpace("pid"),
    readSpace("net"),
  ]);
  return { host: hostname(), bootId, pidSpace, netSpace };
}

export async function thisProcess(
  own: Pick<LockHolder, "token" | "lifeline" | "ttlMs">,
): Promise<LockHolder> {
  const processStart = (await readProcess(process.pid))?.start;
  return { pid: process.pid, ...(await thisPlace()), processStart, ...own };
}

/**
 * The pid comes first, because that is all the original opslog reads of a lock.
 * @param beat how often the holder was heard of; texts of one holder are of one length
 */
export function encodeHolder(holder: LockHolder, startedAt: string, beat: number): Uint8Array {
  const fields = { ...holder, startedAt, beat: String(beat).padStart(12, "0") };
  return Buffer.from(`${holder.pid} ${JSON.stringify(fields)}\n`);
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
    return { ...NOWHERE, pid: value, token: "" };
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
    pidSpace: textOrNothing(field("pidSpace")),
    netSpace: textOrNothing(field("netSpace")),
    processStart: textOrNothing(field("processStart")),
    lifeline: textOrNothing(field("lifeline")),
    ttlMs: isPid(field("ttlMs")) ? Number(field("ttlMs")) : undefined,
  };
}

/**
 * Whether the holder can still be at work, as far as its kernel is ours and shows it: by what it
 * listens on where that reaches, else by its pid where that means the same process. A process that
 * is only stopped is alive.
 * @param heardMs date of the lock file
 */
export async function stateOf(holder: LockHolder, heardMs: number): Promise<HolderState> {
  if (holder.host === undefined) return isOriginalAlive(holder.pid, heardMs) ? "alive" : "dead";
  const here = await thisPlace();
  if (!isOneKernel(holder, here)) return "unknown";
  // By its name alone, a machine may be another, or have been booted since.
  const isProven = here.bootId !== undefined;
  if (isProven && holder.lifeline !== undefined && holder.netSpace === here.netSpace) {
    const answered = await isAnswered(holder.lifeline);
    if (answered !== undefined) return answered ? "alive" : "dead";
  }
  if (holder.pidSpace !== here.pidSpace) return "unknown";
  if (!isProven) return isRunning(holder.pid) ? "unknown" : "doubted";
  if (!isRunning(holder.pid)) return "dead";
  const found = await readProcess(holder.pid);
  if (found === undefined) return "alive"; // no /proc here; or it ended just now, look again
  if (found.ended) return "dead";
  return holder.processStart === undefined || holder.processStart === found.start
    ? "alive"
    : "dead";
}

/** Whether it is this very process. */
export async function isThisProcess(holder: LockHolder): Promise<boolean> {
  if (holder.pid !== process.pid) return false;
  if (holder.host === undefined) return true;
  const start = (await readProcess(process.pid))?.start;
  return (await sharesPids(holder)) && holder.processStart === start;
}

/** Whether its pid is one of ours. */
export async function sharesPids(holder: LockHolder): Promise<boolean> {
  const here = await thisPlace();
  return isOneKernel(holder, here) && holder.pidSpace === here.pidSpace;
}

function isOneKernel(holder: Place, here: Place): boolean {
  return holder.bootId === undefined || here.bootId === undefined
    ? holder.bootId === here.bootId && holder.host === here.host
    : holder.bootId === here.bootId;
}

/** It stores pids only. One that is ours and older than we are is of a container before this one. */
function isOriginalAlive(pid: number, heardMs: number): boolean {
  if (pid !== process.pid) return isRunning(pid);
  const startedMs = systemRuntime.nowMs() - process.uptime() * 1_000;
  return heardMs > startedMs - DATE_SLACK_MS;
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
  const found = await unlessHidden(readFile("/proc/sys/kernel/random/boot_id", "utf8"));
  const bootId = found?.trim();
  return bootId === "" ? undefined : bootId;
}

/** `pid:[4026531836]`; undefined where the system has no namespaces. */
async function readSpace(kind: "pid" | "net"): Promise<string | undefined> {
  return await unlessHidden(readlink(`/proc/self/ns/${kind}`));
}

/** Undefined where /proc has no such file, or nobody may read it; ESRCH: its process ended meanwhile. */
async function unlessHidden(read: Promise<string>): Promise<string | undefined> {
  try {
    return await read;
  } catch (error) {
    const code = errno(error);
    const isHidden = code === "EACCES" || code === "EPERM" || code === "ESRCH";
    if (isHidden || isAbsent(error)) return undefined;
    throw error;
  }
}

/** Fields 3 and 22 of /proc/<pid>/stat; the second field may hold spaces and brackets. */
async function readProcess(pid: number): Promise<{ start: string; ended: boolean } | undefined> {
  const stat = await unlessHidden(readFile(`/proc/${pid}/stat`, "utf8"));
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
