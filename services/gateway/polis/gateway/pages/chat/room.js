// One conversation as it is known here: a snapshot with all that was heard since applied to it.

import { full } from "./times.js";
import { Window } from "./window.js";

const TOLD = new Set(["participant", "changed", "responsible", "handoff", "control"]);
const HELD = new Set(["waiting", "claimed"]);
const MOST_STREAMED = 100;
const OPEN = new Set(["open", "paused"]);

export class Room {
  window = new Window();
  participants = new Map();
  marks = new Map();
  typing = new Map();
  presence = new Map();
  streams = new Map();
  // Streams whose beginning was seen here: their messages are told as answers.
  streamed = new Set();
  conversation = null;
  handoffs = new Map();
  seq = 0;

  // writes: whether my role in the org lets me say anything anywhere.
  constructor(id, me, writes) {
    this.id = id;
    this.me = me;
    this.writes = writes;
  }

  // Takes a change of the conversation's topic; gives the message that was said just now, if one was.
  take({ kind, seq, data }) {
    if (kind === "snapshot") return this.#begin(seq, data);
    if (data.typing) this.#until(this.typing, data.typing);
    if (data.presence) this.#until(this.presence, data.presence);
    if (data.mark) this.mark(data.mark);
    if (data.stream) this.#stream(data.stream);
    return data.entry ? this.#entry(data.entry) : null;
  }

  mark(mark) {
    this.marks.set(mark.principal_id, mark);
  }

  present(presence) {
    this.#until(this.presence, presence);
  }

  // Whether a piece of a stream is missing here.
  behind(id) {
    return this.streams.get(id)?.behind ?? false;
  }

  // What is shown of a stream by now, from where it was asked for.
  resume(told) {
    const known = this.streams.get(told.stream_id);
    const characters = [...(known?.text ?? "")].slice(0, told.at);
    if (!OPEN.has(told.state)) this.streams.delete(told.stream_id);
    if (characters.length < told.at || !OPEN.has(told.state)) return;
    const text = characters.join("") + told.text;
    this.streams.set(told.stream_id, { ...told, text, length: [...text].length, behind: false });
    this.#began(told.stream_id);
  }

  get role() {
    const mine = this.participants.get(this.me);
    return mine?.state === "joined" ? mine.role : null;
  }

  get speaks() {
    return this.silence === "";
  }

  // Why nothing can be said here by whoever reads; nothing where it can.
  get silence() {
    if (this.conversation.archived_at) return "This conversation is archived: it can be read, and nothing is said in it.";
    if (!this.writes) return "Your role in this org lets you read and say nothing. Who manages its members can change that.";
    if (this.role === null || this.role === "observer") return "You read here and say nothing.";
    return this.mutedMs() ? `You may say nothing here until ${full(this.participants.get(this.me).muted_until)}.` : "";
  }

  // How long whoever reads may yet say nothing.
  mutedMs(now = Date.now()) {
    return Math.max(0, Date.parse(this.participants.get(this.me)?.muted_until) - now || 0);
  }

  get manages() {
    return this.writes && this.conversation.kind !== "direct" && ["owner", "admin"].includes(this.role);
  }

  // Who is typing by now, and when that is over first.
  typists(now = Date.now()) {
    for (const [id, { until }] of this.typing) if (Date.parse(until) <= now) this.typing.delete(id);
    const others = [...this.typing.values()].filter(({ principal_id: id }) => id !== this.me);
    return { ids: others.map(({ principal_id: id }) => id), over: Math.min(...others.map(({ until }) => Date.parse(until))) };
  }

  about(id, now = Date.now()) {
    const known = this.presence.get(id);
    return known && Date.parse(known.until) > now ? known.state : "offline";
  }

  // Of the others, who has read as far as this.
  readers(seq) {
    return [...this.marks.values()].filter((mark) => mark.read_seq >= seq && mark.principal_id !== this.me).map((mark) => mark.principal_id);
  }

  #begin(seq, { conversation, participants, messages, streams, handoffs }) {
    this.streams = new Map();
    for (const stream of streams) this.resume(stream);
    this.handoffs = new Map(handoffs.map((each) => [each.id, each]));
    this.conversation = conversation;
    this.seq = seq;
    this.participants = new Map(participants.map((each) => [each.principal_id, each]));
    this.window.reset(messages, { older: messages.length > 0, newer: false });
    return null;
  }

  #entry(entry) {
    this.seq = entry.seq;
    const { kind, message } = entry;
    if (kind === "posted") {
      this.typing.delete(entry.actor_id);
      this.streams.delete(message.stream?.id);
      this.window.add({ seq: entry.seq, message });
      return message;
    }
    if (message) this.window.put(message);
    if (kind === "participant") this.participants.set(entry.participant.principal_id, entry.participant);
    if (kind === "handoff") this.#handoff(entry.handoff);
    if (entry.conversation) this.conversation = { ...entry.conversation, head_seq: entry.seq };
    if (TOLD.has(kind)) this.window.add({ seq: entry.seq, notice: entry });
    return null;
  }

  #handoff(handoff) {
    if (HELD.has(handoff.state)) this.handoffs.set(handoff.id, handoff);
    else this.handoffs.delete(handoff.id);
  }

  // A piece of what is being said, or what has become of it. It is in sight until its message is.
  #stream(told) {
    const { stream_id: id, at: from, text, state, message_seq: seq } = told;
    if (!OPEN.has(state)) {
      const held = this.streams.get(id);
      if (!seq || seq <= this.seq) this.streams.delete(id);
      else if (held) this.streams.set(id, { ...held, state });
      return;
    }
    const known = this.streams.get(id) ?? { ...told, text: "", length: 0 };
    // A piece from before the pause may come behind it, and is no sign that it goes on.
    const late = known.state === "paused" && from < known.pausedAt;
    const pausedAt = state === "paused" ? from : known.pausedAt;
    const missed = from > known.length;
    const fresh = missed ? "" : [...text].slice(known.length - from).join("");
    this.streams.set(id, { ...known, pausedAt, state: late ? "paused" : state, text: known.text + fresh, length: known.length + [...fresh].length, behind: missed });
    this.#began(id);
    this.typing.delete(told.producer_id);
  }

  #began(id) {
    if (this.streamed.size >= MOST_STREAMED) this.streamed.delete(this.streamed.values().next().value);
    this.streamed.add(id);
  }

  #until(known, told) {
    if (Date.parse(told.until) > Date.now()) known.set(told.principal_id, told);
    else known.delete(told.principal_id);
  }
}
