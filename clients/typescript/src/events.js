import { Lost, refused } from "./lost.js";
import { Problem } from "./problem.js";
import { texts } from "./texts.js";

// The gateway says that it is still there every 15 s.
const SILENCE_MS = 45_000;

// The frames of one connection of server-sent events, by fetch: an EventSource could not send a token.
export async function* events(link, topic, wanted, signal) {
  const stop = new AbortController();
  const abort = () => stop.abort(signal.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  let silence = setTimeout(() => stop.abort(), SILENCE_MS);
  try {
    const answer = await open(link, topic, wanted, stop.signal);
    for await (const event of parsed(texts(answer.body))) {
      clearTimeout(silence);
      silence = setTimeout(() => stop.abort(), SILENCE_MS);
      if (event !== null) yield event;
    }
  } catch (error) {
    throw error instanceof Problem || error.passing ? error : new Lost("the connection was cut", { cause: error });
  } finally {
    clearTimeout(silence);
    signal?.removeEventListener("abort", abort);
    stop.abort();
  }
}

async function open(link, topic, wanted, signal) {
  if (signal.aborted) throw signal.reason;
  const answer = await ask(link, topic, wanted, signal, false);
  if (answer.status !== 401 || !link.renews) return checked(answer);
  return checked(await ask(link, topic, wanted, signal, true));
}

// The cursor is a number and no secret, and unlike Last-Event-ID it needs no leave for other origins.
async function ask(link, topic, { after, kinds, fields }, signal, renew) {
  const query = new URLSearchParams({
    topic,
    ...(after !== undefined && { after }),
    ...(kinds?.length && { kinds: kinds.join(",") }),
    ...(fields?.length && { fields: fields.join(",") }),
  });
  const headers = { ...(await link.headers(renew)), accept: "text/event-stream" };
  return link.fetch(`${link.url}?${query}`, { headers, signal, cache: "no-store" });
}

async function checked(answer) {
  if (answer.ok) return answer;
  throw refused(await Problem.of(answer));
}

// Events of WHATWG HTML 9.2 as the gateway writes them; null for its signs of life.
async function* parsed(parts) {
  let rest = "";
  for await (const part of parts) {
    const blocks = (rest + part).split("\n\n");
    rest = blocks.pop();
    if (!blocks.length) yield null;
    for (const block of blocks) yield frame(block);
  }
}

function frame(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, "");
  }
  const seq = Number(fields.id);
  if (!fields.event) return fields.id ? { op: "events", seq, data: [] } : null;
  const data = JSON.parse(fields.data);
  if (fields.event === "problem") throw refused(new Problem(data));
  if (fields.event === "snapshot" || fields.event === "end") return { op: fields.event, seq, data };
  return { op: "events", seq, data: [data] };
}
