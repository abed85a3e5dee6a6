import { Lost, refused } from "./lost.js";
import { Problem } from "./problem.js";

const MOVED = 1012;
const UNDERSTOOD_NOT = 4400;
const REVOKED = 4401;
const OPEN_WITHIN_MS = 15_000;
const SILENCE_MS = 20_000;
const PONG_WITHIN_MS = 10_000;
const LINGER_MS = 1_000;
// More than this is not held for a reader who does not keep up: its topic is left, and resumed once all was read.
const MOST_WAITING = 1_000;
const MOST_TOPICS = 100;
const MOST_CALLS = 32;

// The sockets of one client: one, as long as nobody follows a topic twice or hundreds of them.
export class Wires {
  #wires = [];

  constructor(link, dialer) {
    this.link = link;
    this.dialer = dialer;
  }

  forTopic(topic) {
    return this.#one((wire) => wire.takes(topic));
  }

  forCalls() {
    return this.#one(() => true);
  }

  close() {
    for (const wire of this.#wires.splice(0)) wire.close(new Error("the client was closed"));
  }

  #one(fits) {
    let wire = this.#wires.find(fits);
    if (!wire) this.#wires.push((wire = new Wire(this.link, this.dialer)));
    return wire;
  }
}

// One socket for topics and calls. It opens when something is wanted of it, and closes soon after nothing is.
class Wire {
  #opening = null;
  #socket = null;
  #topics = new Map();
  #stale = new Set();
  #calls = new Map();
  #turns = [];
  #timer = null;
  #next = 1;

  constructor(link, dialer) {
    this.link = link;
    this.dialer = dialer;
  }

  takes(topic) {
    return this.#topics.size < MOST_TOPICS && !this.#topics.has(topic) && !this.#stale.has(topic);
  }

  // The frames of a topic for as long as the socket lives: then it throws Lost.
  async *frames(topic, wanted, signal) {
    const inbox = new Inbox();
    let abort;
    const aborted = new Promise((_, reject) => (abort = () => reject(signal.reason)));
    aborted.catch((given) => inbox.end(given));
    signal?.addEventListener("abort", abort, { once: true });
    this.#topics.set(topic, inbox);
    try {
      if (signal?.aborted) throw signal.reason;
      await Promise.race([this.#open(), aborted]);
      if (signal?.aborted) throw signal.reason;
      this.#say({ op: "subscribe", topic, ...wanted });
      for (let frame; (frame = await inbox.next()) !== null; ) yield frame;
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#topics.delete(topic);
      if (this.#socket && !inbox.last) {
        this.#say({ op: "unsubscribe", topic });
        // What was on its way for this one must not be taken for the next one's.
        if (!inbox.begun) this.#stale.add(topic);
      }
      this.#rest();
    }
  }

  async call(name, request, key, signal, timeoutMs) {
    if (signal?.aborted) throw signal.reason;
    if (this.#calls.size + this.#turns.length >= MOST_CALLS) {
      await new Promise((turn) => this.#turns.push(turn));
      if (signal?.aborted) {
        this.#turns.shift()?.();
        throw signal.reason;
      }
    }
    const id = this.#next++;
    const answer = new Promise((resolve, reject) => this.#calls.set(id, { resolve, reject, sent: false }));
    answer.catch(() => {});
    const fail = (error) => this.#calls.get(id)?.reject(error);
    const abort = () => fail(signal.reason);
    signal?.addEventListener("abort", abort, { once: true });
    const timer = setTimeout(() => fail(new Lost("there was no answer in time", { sent: true })), timeoutMs);
    try {
      await Promise.race([this.#open(), answer]);
      const call = this.#calls.get(id);
      call.sent = true;
      this.#say({ op: "call", id, name, request, ...(key && { key }) });
      return await answer;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      this.#calls.delete(id);
      this.#turns.shift()?.();
      this.#rest();
    }
  }

  close(error) {
    const socket = this.#socket;
    this.#end(error);
    socket?.close();
  }

  #open() {
    this.#opening ??= this.#dialled().catch((error) => {
      this.#opening = null;
      throw error;
    });
    return this.#opening;
  }

  async #dialled() {
    try {
      await this.#dial(false);
    } catch (error) {
      if (error.status !== 401 || !this.link.renews) throw error instanceof Problem ? refused(error) : await asked(this.link, error);
      await this.#dial(true).catch((again) => {
        throw again instanceof Problem ? refused(again) : again;
      });
    }
  }

  async #dial(renew) {
    const headers = await this.link.headers(renew);
    const protocols = await this.link.protocols?.();
    const dial = await this.dialer();
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        socket.close();
        reject(new Lost("the connection did not open"));
      }, OPEN_WITHIN_MS);
      const told = {
        opened: () => {
          clearTimeout(timer);
          this.#socket = socket;
          this.#listen();
          this.#rest();
          resolve();
        },
        heard: (text) => this.#hear(JSON.parse(text)),
        closed: (code, problem, why) => {
          clearTimeout(timer);
          reject(problem ?? new Lost(`the connection was closed with ${code}`));
          if (this.#socket === socket) this.#closed(socket, code, why);
        },
      };
      const socket = dial(this.link.url.replace(/^http/, "ws"), headers, told, protocols);
    });
  }

  async #closed(socket, code, why) {
    let error = reason(code, why);
    // A session whose token has expired is renewed by a call, once for all that hung on this socket.
    if (error.revoked) error = await asked(this.link, error);
    if (this.#socket === socket) this.#end(error);
  }

  #end(error) {
    clearTimeout(this.#timer);
    this.#socket = this.#opening = null;
    this.#stale.clear();
    for (const inbox of this.#topics.values()) inbox.end(error);
    for (const { reject, sent } of this.#calls.values()) reject(Object.assign(sent ? again(error) : error, { sent }));
  }

  #say(what) {
    this.#socket?.send(JSON.stringify(what));
  }

  #hear(frame) {
    this.#listen();
    this.#rest();
    if (frame.id !== undefined) {
      const call = this.#calls.get(frame.id);
      if (frame.op === "ack") call?.resolve(frame.data);
      else call?.reject(new Problem(frame.problem));
      return;
    }
    const inbox = this.#topics.get(frame.topic);
    if (!inbox?.take(frame)) return;
    this.#say({ op: "unsubscribe", topic: frame.topic });
    inbox.end(new Lost("it was read too slowly"));
  }

  // A link that is cut in the middle tells nothing: who hears nothing asks, and takes silence for the end.
  #listen() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#say({ op: "ping" });
      this.#timer = setTimeout(() => this.close(new Lost("the connection says nothing any more")), PONG_WITHIN_MS);
    }, SILENCE_MS);
  }

  #rest() {
    if (this.#topics.size || this.#calls.size || !this.#socket) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.#topics.size && !this.#calls.size) this.close(new Lost("nothing was wanted of it"));
    }, LINGER_MS);
  }
}

class Inbox {
  #waiting = [];
  #wake = null;
  #error = null;
  #over = false;
  begun = false;
  last = false;

  async next() {
    while (!this.#waiting.length) {
      if (this.#error) throw this.#error;
      if (this.#over) return null;
      await new Promise((wake) => (this.#wake = wake));
    }
    return this.#waiting.shift();
  }

  end(error) {
    this.#error ??= error;
    this.#over = true;
    this.#wake?.();
  }

  // True when more waits than is held.
  take(frame) {
    if (this.#over) return false;
    this.begun ||= frame.op === "snapshot" || frame.op === "problem";
    if (!this.begun) return false;
    this.last = frame.op === "end" || frame.op === "problem";
    this.#waiting.push(frame);
    this.#wake?.();
    return this.#waiting.length >= MOST_WAITING;
  }
}

// Why a handshake is refused is not told to pages: a call is. It renews a session whose token has expired, too.
async function asked(link, lost) {
  if (!link.probe) return lost;
  try {
    await link.probe();
    return lost;
  } catch (error) {
    return error instanceof Problem ? refused(error) : new Lost(lost.message, { cause: error });
  }
}

function reason(code, why) {
  if (code === REVOKED) return new Lost("the session does not hold any more", { revoked: true });
  if (code === UNDERSTOOD_NOT) return new Error(`the gateway does not understand this client${why ? `: ${why}` : ""}`);
  return new Lost(code === MOVED ? "the gateway asks to come back" : `the connection was closed with ${code}`);
}

// Each call has an error of its own to be thrown with.
function again(error) {
  return error.passing ? new Lost(error.message, { cause: error.cause, retryAfter: error.retryAfter }) : error;
}
