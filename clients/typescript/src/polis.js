import { follow } from "./follow.js";
import { pause, pauseMs } from "./pause.js";
import { Problem } from "./problem.js";
import { request } from "./request.js";
import { texts } from "./texts.js";

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

  constructor({ url = "", token = "", org = "", retries = RETRIES, timeoutMs = TIMEOUT_MS, fetch } = {}) {
    const origin = url || globalThis.location?.origin;
    if (!origin) throw new TypeError("`url` is missing: where the gateway is");
    this.#url = new URL(origin).href.replace(/\/+$/, "");
    this.#token = token;
    this.#org = org;
    this.#fetch = fetch ?? globalThis.fetch.bind(globalThis);
    this.retries = retries;
    this.timeoutMs = timeoutMs;
  }

  // The answer of an operation, by the name of its request. Throws Problem when it is refused.
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
    const link = {
      url: `${this.#url}${PREFIX}/live`,
      // WebSockets of browsers carry cookies and no header, and a token has no place in a URL.
      byCookies: !this.#token && typeof WebSocket === "function" && typeof document === "object",
      fetch: this.#fetch,
      headers: (renew) => this.#headers(renew),
      renews: typeof this.#token === "function",
      probe: () => this.call("GetMe", {}, { signal: options.signal }),
    };
    return follow(link, topic, options);
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
    for (let attempt = 0; ; attempt++) {
      let after = null;
      try {
        return await this.#once(wanted, key, signal);
      } catch (error) {
        const later = error instanceof Problem ? mayPass(error) : error instanceof TypeError || error.name === "TimeoutError";
        const harmless = method === "GET" || key !== "" || error.status === 429;
        if (signal?.aborted || !later || !harmless || attempt >= this.retries) throw error;
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

function mayPass({ status, type }) {
  return LATER.has(status) || type === "/problems/in-flight";
}

// crypto.randomUUID is missing in pages that came over plain http.
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
