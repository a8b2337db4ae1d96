/**
 * State that all copies of this package in a process share: its ES modules and its CommonJS build,
 * or two versions of it. Only plain collections belong here, because every version reads them.
 */
export function processWide<T extends object>(name: string, create: () => T): T {
  const key = Symbol.for(`opslog-serverless.${name}`);
  const held: T | undefined = Reflect.get(globalThis, key);
  if (held !== undefined) return held;
  const created = create();
  Reflect.defineProperty(globalThis, key, { value: created });
  return created;
}
