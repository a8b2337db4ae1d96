/** Nothing: what the measurement itself costs. */
import type { TaskHandler } from "./task.ts";

export const handler: TaskHandler = async () => undefined;
