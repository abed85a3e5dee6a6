import { operations } from "../generated/operations.js";
import { dial as dialInPage } from "./dial.js";
import { follow } from "./follow.js";
import { Lost } from "./lost.js";
import { pause, pauseMs } from "./pause.js";
import { Problem } from "./problem.js";
import { request } from "./request.js";
import { texts } from "./texts.js";
import { Wires } from "./wire.js";

const PREFIX = "/api/v1";
const TIMEOUT_MS = 30_000;
const LATER = new Set([429, 502, 503, 504]);
const RETRIES = 4;
const RACED_MS = 300;

// One caller of one mesh: with a token, or, in a page of the gateway's own origin, with the cookies of its session.
export class Polis {
  #url;
  #token;
  #org;
  #csrf = "";
  #recovering = null;
  #fetch;
  #plain;
  #link;

  constructor({ url = "", token = "", org = "", retries = RETRIES, timeoutMs = TIMEOUT_MS, fetch, dial } = {}) {
    const origin = url || globalThis.location?.origin;
    if (!origin) throw new TypeError("`url` is missing: where the gateway is");
    this.#url = new URL(origin).href.replace(/\/+$/, "");
    this.#token = token;
    this.#org = org;
    this.#fetch = fetch ?? globalThis.fetch.bind(globalThis);
    this.#plain = !fetch;
    this.retries = retries;
    this.timeoutMs = timeoutMs;
    this.#link = this.#linked(dial);
  }

  // The answer of an operation, by the name of its request. Throws Problem when it is refused, or there is no answer (then its status is 0).
  async call(name, fields = {}, { idempotencyKey, signal } = {}) {
    const wanted = request(name, fields);
    if (wanted.operation.answer === "lines") throw new TypeError(`${name} answers in many parts: use stream`);
    const answer = await this.#patiently(wanted, idempotencyKey, signal);
    if (wanted.operation.answer === "bytes") return new Uint8Array(await answer.arrayBuffer());
    return answer.status === 204 ? null : answer.json();
  }

  // The parts of an answer as they come.
  async *stream(name, fields = {}, { signal } = {}) {
    const wanted = request(name, fields);
    if (wanted.operation.answer !== "lines") throw new TypeError(`${name} has one answer: use call`);
    const answer = await this.#patiently(wanted, undefined, signal);
    let rest = "";
    for await (const text of texts(answer.body)) {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line) yield JSON.parse(line);
    }
    if (rest) yield JSON.parse(rest);
  }

  // The changes of a topic, each once and in order, through every cut. Throws Problem when it may not be followed.
  follow(topic, options = {}) {
    return follow(this.#link, topic, options);
  }

  // The same answer as from `call`, over the socket that topics share where there is one: for what is said often and in a hurry.
  async say(name, fields = {}, { idempotencyKey, signal } = {}) {
    const operation = Object.hasOwn(operations, name) ? operations[name] : null;
    if (!operation?.socket) throw new TypeError(`${name} is not said over the socket: use call`);
    const { wires } = this.#link;
    if (!wires) return this.call(name, fields, { idempotencyKey, signal });
    // A message with an id of its own is posted once anyway.
    const key = operation.idempotent && !fields.client_id ? (idempotencyKey ?? newKey()) : "";
    const harmless = Boolean(key || fields.client_id);
    return this.#repeated(harmless, signal, () => wires.forCalls().call(name, fields, key, signal, this.timeoutMs));
  }

  // Says something in a conversation, once, however often it has to be sent. message: its text, or its fields.
  post(conversationId, message, options) {
    const fields = typeof message === "string" ? { text: message } : message;
    return this.say("PostMessage", { client_id: newKey(), ...fields, conversation_id: conversationId }, options);
  }

  typing(conversationId, on = true, options) {
    return this.say("SayTyping", { conversation_id: conversationId, on }, options);
  }

  // How far the caller has read.
  read(conversationId, seq, options) {
    return this.say("MarkConversation", { conversation_id: conversationId, read_seq: seq }, options);
  }

  // control: what is said to who speaks, as { kind: "pause" }; of a stream alone with `streamId`.
  control(conversationId, control, { streamId, ...options } = {}) {
    const fields = { conversation_id: conversationId, control, ...(streamId && { stream_id: streamId }) };
    return this.say("ControlConversation", fields, options);
  }

  signal(runId, name, payload = null, options) {
    return this.say("SignalRun", { run_id: runId, name, payload }, options);
  }

  // answer: its fields, as { decision: "approve" }.
  answer(askId, answer, options) {
    return this.say("AnswerAsk", { ...answer, ask_id: askId }, options);
  }

  // Lets go of the socket. What is still followed or said fails.
  close() {
    this.#link.wires?.close();
  }

  // WebSockets of browsers carry cookies and no header, and a token has no place in a URL: it gets a ticket for each.
  #linked(dial) {
    const page = typeof document === "object";
    const byCookies = page && !this.#token;
    const link = {
      url: `${this.#url}${PREFIX}/live`,
      fetch: this.#fetch,
      headers: (renew) => this.#headers(renew),
      renews: typeof this.#token === "function",
      probe: byCookies ? () => this.call("GetMe") : null,
      protocols: null,
      wires: null,
    };
    const inNode = globalThis.process?.versions?.node && !page && this.#plain;
    const byTicket = this.#token && this.#plain && !dial && !inNode && globalThis.WebSocket;
    if (byTicket) link.protocols = () => this.#ticket();
    if (dial || byCookies || byTicket) link.wires = new Wires(link, async () => dial ?? dialInPage);
    else if (inNode) link.wires = new Wires(link, async () => (await import("./dial-node.js")).dial);
    return link;
  }

  // What opens one socket.
  async #ticket() {
    try {
      const { ticket } = await this.call("IssueLiveTicket");
      return ["polis.v1.json", `polis.ticket.${ticket}`];
    } catch (error) {
      throw error instanceof Problem ? error : new Lost("the gateway was not reached", { cause: error });
    }
  }

  // renew: the last token was refused.
  async #headers(renew = false) {
    const token = typeof this.#token === "function" ? await this.#token({ renew }) : this.#token;
    return {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(this.#org && { "x-org-id": this.#org }),
    };
  }

  // What may have happened already is only repeated under its key, or when it was refused before anything happened.
  async #patiently(wanted, idempotencyKey, signal) {
    const { method, idempotent } = wanted.operation;
    const key = idempotent ? (idempotencyKey ?? newKey()) : "";
    return this.#repeated(method === "GET" || key !== "", signal, () => this.#once(wanted, key, signal));
  }

  async #repeated(harmless, signal, once) {
    for (let attempt = 0; ; attempt++) {
      let after = null;
      try {
        return await once();
      } catch (error) {
        const cut = error instanceof TypeError || error.name === "TimeoutError" || error.passing;
        const later = error instanceof Problem ? mayPass(error) : cut;
        const untouched = harmless || error.status === 429 || (error.passing && !error.sent);
        if (signal?.aborted || !later || !untouched || attempt >= this.retries) throw told(error, cut && !signal?.aborted);
        after = error.retryAfter ?? null;
      }
      await pause(pauseMs(attempt, after), signal);
    }
  }

  async #once(wanted, key, signal) {
    let answer = await this.#send(wanted, key, signal);
    if (answer.ok) return answer;
    const problem = await Problem.of(answer);
    if (!(await this.#recovered(problem))) throw problem;
    answer = await this.#send(wanted, key, signal, problem.status === 401);
    if (answer.ok) return answer;
    throw await Problem.of(answer);
  }

  async #send({ operation, path, body, mediaType }, key, signal, renew = false) {
    const headers = await this.#headers(renew);
    if (mediaType) headers["content-type"] = mediaType;
    if (key) headers["idempotency-key"] = key;
    if (!this.#token && this.#csrf && operation.method !== "GET") headers["x-csrf-token"] = this.#csrf;
    return this.#fetch(this.#url + PREFIX + path, { method: operation.method, headers, body, ...this.#bounds(operation, signal) });
  }

  // Files and streams take as long as they take.
  #bounds(operation, signal) {
    if (operation.raw || operation.answer) return { signal };
    const timeout = AbortSignal.timeout(this.timeoutMs);
    return { signal: signal ? AbortSignal.any([signal, timeout]) : timeout };
  }

  // There may be another token; a page's session may lack its CSRF token, or want to be renewed.
  async #recovered({ type, content }) {
    if (typeof this.#token === "function") return type === "/problems/unauthenticated";
    if (this.#token || typeof document !== "object") return false;
    const lacksCsrf = type === "/problems/forbidden" && content.scope === "csrf";
    if (!lacksCsrf && type !== "/problems/unauthenticated") return false;
    this.#recovering ??= this.#renewed(lacksCsrf).finally(() => (this.#recovering = null));
    return this.#recovering;
  }

  // Another tab may have been faster, and its cookies are ours as soon as they are here.
  async #renewed(lacksCsrf) {
    if (await this.#session("GET", "/session")) return true;
    if (lacksCsrf) return false;
    if (await this.#session("POST", "/session/refresh")) return true;
    await pause(RACED_MS * (1 + Math.random()));
    return this.#session("GET", "/session");
  }

  async #session(method, path) {
    const answer = await this.#send({ operation: { method }, path }, "");
    if (answer.ok) this.#csrf = (await answer.json()).csrf_token;
    return answer.ok;
  }
}

// What a caller is told: a problem, be it that there was no answer. What is no cut, and what the caller has ended, is thrown as it is.
function told(error, cut) {
  if (error.cause instanceof Problem) return error.cause;
  return cut && !(error instanceof Problem) ? Problem.unreached(error) : error;
}

function mayPass({ status, type }) {
  return LATER.has(status) || type === "/problems/in-flight";
}

// crypto.randomUUID is missing in pages that came over plain http.
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
