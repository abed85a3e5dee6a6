import type { AnyProblem, Fault, Operations, Streams, Topics } from "../generated/contract.js";

export type * from "../generated/contract.js";

export interface Options {
  /** The gateway's origin; in a page, its own when left out. */
  url?: string;
  /** An access token or API key, or what gets one (`renew`: the last one was refused). In a page, its session's cookies when left out. */
  token?: string | ((wanted: { renew: boolean }) => string | Promise<string>);
  /** Which of the caller's orgs, when not the token's own. */
  org?: string;
  /** How often a call is repeated that may be. */
  retries?: number;
  timeoutMs?: number;
  fetch?: typeof globalThis.fetch;
}

export interface CallOptions {
  /** Made anew for each call when left out; the same key gives the same answer and one effect. */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

export interface FollowOptions {
  /** The `seq` of the last change that was seen: what follows it is told, instead of a snapshot. */
  after?: number;
  signal?: AbortSignal;
  /** How often in a row it is tried in vain to connect before that is thrown: 20 times, or Infinity. */
  attempts?: number;
}

/** A snapshot stands for all that was before; a change is one thing that came after. */
export type Change<S = unknown, C = unknown> =
  | { kind: "snapshot"; seq: number; data: S }
  | { kind: "change"; seq: number; data: C };

type Given<R, O> = {} extends R ? [request?: R, options?: O] : [request: R, options?: O];

export declare class Polis {
  constructor(options?: Options);
  /** The answer of an operation, by the name of its request. Throws Problem when it is refused. */
  call<N extends keyof Operations>(
    name: N,
    ...given: Given<Operations[N]["request"], CallOptions>
  ): Promise<Operations[N]["answer"]>;
  /** The parts of an answer as they come. */
  stream<N extends keyof Streams>(
    name: N,
    ...given: Given<Streams[N]["request"], { signal?: AbortSignal }>
  ): AsyncGenerator<Streams[N]["answer"], void>;
  /** Each change of a topic once and in order, through every cut, until there is no more. Throws Problem when it may not be followed. */
  follow<T extends keyof Topics>(
    topic: T,
    options?: FollowOptions,
  ): AsyncGenerator<Change<Topics[T]["snapshot"], Topics[T]["change"]>, void>;
}

/** A refusal (RFC 9457): `type` and `status` are contract, `title` and `detail` are for people. */
export declare class Problem extends Error {
  readonly type: AnyProblem["type"] | "about:blank";
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly faults: readonly Fault[];
  /** Seconds after which it may be tried again. */
  readonly retryAfter: number | null;
  /** The whole, with the fields of its type. */
  readonly content: AnyProblem;
}
