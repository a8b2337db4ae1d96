/** Streams a store in a process of its own and tells what that took, as a line of JSON. */
import { FsBackend } from "../../src/storage/fs-backend.ts";
import { Store } from "../../src/store/store.ts";

const [location = ""] = process.argv.slice(2);
const options = { backend: new FsBackend({ fsync: false }), readOnly: true, skipLoad: true };
const store = await Store.open(location, options);
const before = process.memoryUsage.rss();
let [records, operations, descents, last] = [0, 0, 0, ""];
for await (const [id] of store.streamSnapshot()) {
  records++;
  if (id <= last) descents++;
  last = id;
}
for await (const { op } of store.getWalOps()) if (op === "set") operations++;
const grownBytes = process.resourceUsage().maxRSS * 1024 - before;
await store.close();
process.stdout.write(`${JSON.stringify({ records, operations, descents, grownBytes })}\n`);
