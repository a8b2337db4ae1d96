/**
 * Reverse patches of records, top-level keys only, safe for any key (`__proto__` included: objects
 * are built with own properties, never by assignment).
 */
import type { Delta } from "./operation.ts";

type Fields = Record<string, unknown>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function define(target: Fields, key: string, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

function sameJson(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** What turns `next` back into `old`; null when there is none to be had or nothing differs. */
export function createDelta(old: unknown, next: unknown): Delta | null {
  if (!isFields(old) || !isFields(next)) return null;
  const $set: Fields = {};
  for (const [key, value] of Object.entries(old)) {
    if (!Object.hasOwn(next, key) || !sameJson(value, next[key])) define($set, key, value);
  }
  const $unset = Object.keys(next).filter((key) => !Object.hasOwn(old, key));
  const changed = Object.keys($set).length > 0;
  if (!changed && $unset.length === 0) return null;
  return { ...(changed ? { $set } : {}), ...($unset.length > 0 ? { $unset } : {}) };
}

/** Whether a value has the form of a patch. */
export function isDelta(value: unknown): value is Delta {
  if (!isFields(value)) return false;
  const { $set = {}, $unset = [] } = value;
  return isFields($set) && Array.isArray($unset) && $unset.every((key) => typeof key === "string");
}

/** The record that `delta`, made by `createDelta(old, next)`, leads back to from `next`. */
export function applyDelta(next: unknown, delta: Delta): Fields {
  const old: Fields = {};
  for (const [key, value] of Object.entries(isFields(next) ? next : {})) define(old, key, value);
  for (const key of delta.$unset ?? []) delete old[key];
  for (const [key, value] of Object.entries(delta.$set ?? {})) define(old, key, value);
  return old;
}

/** Whether the patch is shorter, as JSON, than the record it stands for; false where one is null. */
export function isDeltaSmaller(delta: Delta | null, old: unknown): boolean {
  if (delta === null || old === null) return false;
  return JSON.stringify(delta).length < JSON.stringify(old).length;
}
