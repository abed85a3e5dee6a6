import type { AnyProblem, AnswerAsk, ControlConversation, Fault, OnSocket, Operations, PostMessage, Streams, Topics } from "../generated/contract.js";

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
  /** Opens the live socket another way than the browser's WebSocket or, in Node, the client's own. */
  dial?: Dial;
}

/** Opens a WebSocket. `closed` is told once, with the close code, or with why the handshake was refused. */
export type Dial = (
  url: string,
  headers: Record<string, string>,
  told: { opened(): void; heard(text: string): void; closed(code: number, problem?: Problem): void },
) => { send(text: string): void; close(): void };

export interface CallOptions {
  /** Made anew for each call when left out; the same key gives the same answer and one effect. */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

export interface FollowOptions {
  /** The `seq` of the last change that was seen: what follows it is told, instead of a snapshot. */
  after?: number;
  /** Only changes of these kinds: of a run its states and `step`, of a conversation kinds of entries, `typing`, `presence`, `mark`, of an org or an agent facts. */
  kinds?: readonly string[];
  /** Only these fields of each change, and its `seq`: `entry.message.text`. */
  fields?: readonly string[];
  signal?: AbortSignal;
  /** Is told when the topic is heard of, and when the connection is lost: it is tried again then. */
  state?: (state: "live" | "lost") => void;
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
  /** The answer of an operation over the socket that topics share: for what is said often. Done once, however often it is sent. */
  say<N extends OnSocket>(
    name: N,
    ...given: Given<Operations[N]["request"], CallOptions>
  ): Promise<Operations[N]["answer"]>;
  post(
    conversationId: string,
    message: string | Omit<PostMessage, "conversation_id">,
    options?: CallOptions,
  ): Promise<Operations["PostMessage"]["answer"]>;
  typing(conversationId: string, on?: boolean, options?: CallOptions): Promise<null>;
  /** Says how far the caller has read. */
  read(conversationId: string, seq: number, options?: CallOptions): Promise<Operations["MarkConversation"]["answer"]>;
  /** Controls who speaks: `{ kind: "pause" }`; one stream alone with `streamId`. */
  control(
    conversationId: string,
    control: ControlConversation["control"],
    options?: CallOptions & { streamId?: string },
  ): Promise<Operations["ControlConversation"]["answer"]>;
  signal(runId: string, name: string, payload?: unknown, options?: CallOptions): Promise<Operations["SignalRun"]["answer"]>;
  answer(
    askId: string,
    answer?: Omit<AnswerAsk, "ask_id">,
    options?: CallOptions,
  ): Promise<Operations["AnswerAsk"]["answer"]>;
  /** Lets go of the socket; it closes by itself, too, soon after nothing is followed or said. */
  close(): void;
}

/** A refusal (RFC 9457): `type` and `status` are contract, `title` and `detail` are for people. Without an answer: status 0, and why as `cause`. */
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
