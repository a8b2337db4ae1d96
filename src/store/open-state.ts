/** What a store's methods work with while it is open. */
import type { Runtime } from "../core/runtime.ts";
import { HiddenRecords } from "./hidden-records.ts";
import { Mutations } from "./mutations.ts";
import { Once } from "./once.ts";
import { ResidentReads } from "./reads.ts";
import { Scans } from "./scan.ts";
import type { Session } from "../session/session.ts";
import { Streams } from "./streams.ts";
import { Watch } from "./watch.ts";

/** State union: no method can see a half-open store. */
export type State<T> = { readonly name: "closed" } | { readonly name: "opening" } | OpenState<T>;

export interface OpenState<T> {
  readonly name: "open";
  readonly session: Session;
  readonly mutations: Mutations;
  readonly hidden: HiddenRecords;
  readonly once: Once;
  readonly reads: ResidentReads<T>;
  readonly scans: Scans<T>;
  readonly streams: Streams<T>;
  readonly watch: Watch<T>;
}

export function openState<T>(session: Session, runtime: Runtime): OpenState<T> {
  const reads = new ResidentReads<T>(session);
  const mutations = new Mutations(session);
  const hidden = new HiddenRecords(session, mutations);
  return {
    name: "open",
    session,
    mutations,
    hidden,
    once: new Once(session, mutations, hidden),
    reads,
    scans: new Scans(session, reads),
    streams: new Streams(session, reads),
    watch: new Watch(session, runtime),
  };
}
