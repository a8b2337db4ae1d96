import { InvalidArgumentError } from "../../core/errors.ts";
import { checkPath } from "../../storage/paths.ts";

/** Whether a path of a store can name it. */
export function isPath(text: string): boolean {
  try {
    checkPath(text);
    return true;
  } catch (error) {
    if (error instanceof InvalidArgumentError) return false;
    throw error;
  }
}
