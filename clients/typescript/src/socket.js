import { Lost, refused } from "./lost.js";
import { Problem } from "./problem.js";

const MOVED = 1012;
const UNDERSTOOD_NOT = 4400;
const REVOKED = 4401;
const OPEN_WITHIN_MS = 15_000;
// More than this is not held for a reader who does not keep up: the socket is closed, and resumed once all was read.
const MOST_WAITING = 1_000;

// The frames of one WebSocket, which the browser opens with the cookies of its session.
export async function* socket(link, topic, cursor, signal) {
  const frames = new Frames(link.url.replace(/^http/, "ws"), topic, cursor);
  const abort = () => frames.end(signal.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    if (signal?.aborted) throw signal.reason;
    for (let frame; (frame = await frames.next()) !== null; ) yield* split(frame);
  } catch (error) {
    // Why a handshake is refused is not told to pages: a call is. It renews a session whose token has expired, too.
    if (error.passing && (!frames.opened || error.revoked)) await asked(link, error);
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
    frames.close();
  }
}

function* split(frame) {
  if (frame.op === "problem") throw refused(new Problem(frame.problem));
  if (frame.op !== "events") return yield frame;
  for (const data of frame.data) yield { op: "change", seq: data.seq, data };
}

async function asked(link, lost) {
  try {
    await link.probe();
  } catch (error) {
    throw error instanceof Problem ? refused(error) : new Lost(lost.message, { cause: error });
  }
}

class Frames {
  #waiting = [];
  #wake = null;
  #error = null;
  #over = false;

  constructor(url, topic, cursor) {
    this.opened = false;
    this.socket = new WebSocket(url);
    this.timer = setTimeout(() => this.end(new Lost("the connection did not open")), OPEN_WITHIN_MS);
    this.socket.onopen = () => {
      this.opened = true;
      clearTimeout(this.timer);
      this.socket.send(JSON.stringify({ op: "subscribe", topic, ...(cursor !== undefined && { after: cursor }) }));
    };
    this.socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    this.socket.onclose = ({ code }) => this.end(reason(code));
  }

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

  close() {
    clearTimeout(this.timer);
    this.socket.onclose = this.socket.onmessage = null;
    this.socket.close();
  }

  #take(frame) {
    if (this.#over) return;
    this.#waiting.push(frame);
    this.#wake?.();
    if (this.#waiting.length >= MOST_WAITING) {
      this.end(new Lost("it was read too slowly"));
      this.socket.close();
    }
  }
}

function reason(code) {
  if (code === REVOKED) return new Lost("the session does not hold any more", { revoked: true });
  if (code === UNDERSTOOD_NOT) return new Error("the gateway does not understand this client");
  return new Lost(code === MOVED ? "the gateway asks to come back" : `the connection was closed with ${code}`);
}
