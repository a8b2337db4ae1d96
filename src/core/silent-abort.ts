/**
 * The reason to abort a wait that is over, which no code reads. Without one, `abort` makes a
 * DOMException, and the first of a process takes 3 to 6 ms.
 */
export const SILENT_ABORT = "over";
