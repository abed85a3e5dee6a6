import { pause, pauseMs } from "./pause.js";
import { events } from "./events.js";
import { Problem } from "./problem.js";
import { socket } from "./socket.js";

const ATTEMPTS = 20;

// What continues a cursor stands in a snapshot under these names; what is told beside it (typing, presence, a run's log) never does.
const ORDERED = {
  run: { behind: (data) => data.transitions, kept: (change) => !change.log },
  conversation: {
    behind: (data) => data.entries.map((entry) => ({ seq: entry.seq, entry })),
    kept: (change) => Boolean(change.entry),
  },
};

// Each change of a topic once and in order: {kind: "snapshot", seq, data} stands for all before it, {kind: "change", seq, data} is
// one after it. A cut is resumed behind the last one; where that cannot be done, a snapshot comes again.
// kinds, fields: what the gateway is asked to tell alone. state: is called with "live" when it is heard of, and with "lost" at a cut.
export async function* follow(link, topic, { after, kinds, fields, signal, state, attempts = ATTEMPTS } = {}) {
  const place = new Place(topic, after, Boolean(kinds?.length || fields?.length));
  const transport = link.wires ? socket : events;
  for (let attempt = 0; ; attempt++) {
    let [lost, live] = [null, false];
    try {
      const wanted = { after: place.cursor, kinds, fields };
      for await (const frame of transport(link, topic, wanted, signal)) {
        attempt = 0;
        if (!live) state?.("live");
        live = true;
        if (frame.op === "end") return;
        for (const change of place.changes(frame)) yield change;
        if (place.gap) break;
      }
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (!error.passing) throw error;
      lost = error;
    }
    if (!place.gap) state?.("lost");
    place.gap = false;
    if (attempt + 1 >= attempts) throw lost?.cause instanceof Problem ? lost.cause : Problem.unreached(lost?.cause ?? lost ?? undefined);
    await pause(pauseMs(attempt, lost?.retryAfter), signal);
  }
}

// How far somebody has come on a topic.
class Place {
  constructor(topic, after, sifted) {
    this.ordered = ORDERED[topic.split("/", 1)[0]] ?? null;
    this.sifted = sifted;
    this.cursor = this.ordered ? after : undefined;
    this.gap = false;
  }

  *changes({ op, seq, data }) {
    if (op === "events") {
      for (const change of data) yield* this.#change(change);
      return this.#past(seq);
    }
    const continues = this.ordered && this.cursor !== undefined && data.recovered !== false;
    if (continues) {
      for (const change of this.ordered.behind(data)) yield* this.#change(change);
      return this.#past(seq);
    }
    if (this.ordered) this.cursor = seq;
    yield { kind: "snapshot", seq, data };
  }

  // Where not everything is told, a frame's number says what has been passed over.
  #past(seq) {
    if (this.ordered && this.sifted) this.cursor = Math.max(this.cursor ?? 0, seq);
  }

  *#change(data) {
    const { seq } = data;
    if (!this.sifted && this.ordered?.kept(data)) {
      if (this.gap || seq <= this.cursor) return;
      this.gap = seq > this.cursor + 1;
      if (this.gap) return;
      this.cursor = seq;
    }
    yield { kind: "change", seq, data };
  }
}
