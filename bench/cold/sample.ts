/**
 * One cold start: `node sample.mjs BUNDLE EVENT` imports a bundle, has its handler answer one event,
 * and prints what that took. Imports nothing itself, so that nothing is there already, and
 * keeps away from globals that Node loads when they are first used (performance, console).
 */
export interface Loaded {
  readonly handler: (event: unknown, context: object) => Promise<unknown>;
}

const [, , bundle = "", event = ""] = process.argv;
const context = { awsRequestId: "cold-start", getRemainingTimeInMillis: () => 60_000 };

const cpu = process.cpuUsage();
const started = process.hrtime.bigint();
const { handler }: Loaded = await import(bundle);
const imported = process.hrtime.bigint();
const result: unknown = await handler(JSON.parse(event), context);
const answered = process.hrtime.bigint();
const { user, system } = process.cpuUsage(cpu);
const figures = {
  importMs: Number(imported - started) / 1e6,
  answerMs: Number(answered - started) / 1e6,
  cpuMs: (user + system) / 1_000,
  rssBytes: process.memoryUsage.rss(),
};
process.stdout.write(JSON.stringify({ figures, result: result ?? null }), () => process.exit());
