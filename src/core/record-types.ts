/** Types with which the compiler checks what the store checks at run time. */

type Primitive = string | number | boolean | null | undefined | bigint | symbol;
type Callable = (...args: never[]) => unknown;
/** What JSON makes nothing of, or something else; `set` refuses it. */
type Lossy =
  | bigint
  | symbol
  | Callable
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | WeakKeyed
  | RegExp
  | Error
  | Promise<unknown>
  | ArrayBuffer
  | ArrayBufferView;
type WeakKeyed = WeakMap<WeakKey, unknown> | WeakSet<WeakKey>;

/**
 * A record that cannot be changed, all the way down: what a store hands out unless `freezeRecords`
 * is false. `Store<DeepReadonly<Task>>` takes any Task and lets the compiler refuse what would throw:
 *
 * ```ts
 * const store = await Store.open<DeepReadonly<Task>>("./data");
 * store.get("a").done = true; // Cannot assign to 'done' because it is a read-only property.
 * ```
 */
export type DeepReadonly<T> = T extends Primitive | Callable | Date
  ? T
  : { readonly [Key in keyof T]: DeepReadonly<T[Key]> };

/**
 * A type of record in which whatever `set` refuses at run time (Map, Set, RegExp, Error, typed
 * arrays, functions, BigInt) is `never`. `Store<Storable<Task>>` takes no task that holds one. What
 * has `toJSON` stays as it is; NaN and Infinity are numbers to the compiler.
 */
export type Storable<T> = T extends { toJSON(...args: never[]): unknown }
  ? T
  : T extends Lossy
    ? never
    : T extends Primitive
      ? T
      : { [Key in keyof T]: Storable<T[Key]> };
