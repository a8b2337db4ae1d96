/**
 * One cold start: `node sample.mjs BUNDLE EVENT` imports a bundle, has its handler answer one event,
 * and prints what that took. Imports nothing itself, so that nothing is there already.
 */
interface Loaded {
  readonly handler: (event: unknown, context: object) => Promise<unknown>;
}

const [, , bundle = "", event = ""] = process.argv;
const context = { awsRequestId: "cold-start", getRemainingTimeInMillis: () => 60_000 };

const cpu = process.cpuUsage();
const startedMs = performance.now();
const { handler }: Loaded = await import(bundle);
const importedMs = performance.now();
const result: unknown = await handler(JSON.parse(event), context);
const answeredMs = performance.now();
const { user, system } = process.cpuUsage(cpu);
const figures = {
  importMs: importedMs - startedMs,
  answerMs: answeredMs - startedMs,
  cpuMs: (user + system) / 1_000,
  rssBytes: process.memoryUsage.rss(),
};
process.stdout.write(JSON.stringify({ figures, result: result ?? null }), () => process.exit());

export {};
