// The open conversation: follows its topic, shows what is heard, and carries out what is done in it.

import { at } from "./element.js";
import { showHandoffs } from "./handoffs.js";
import { tell } from "./heard.js";
import { Log } from "./log.js";
import { listed, titleOf } from "./people.js";
import { Room } from "./room.js";
import { rows } from "./rows.js";

const PAGE = 80;
const TURNS = 3;
const MARK_MS = 3_000;
const SILENT_MS = 10_000;
const DAY_MS = 86_400_000;

export class Open {
  #chat;
  #log;
  #stop = null;
  #frame = 0;
  #to = "";
  #fresh = null;
  #marked = 0;
  #markTimer = 0;
  #typingTimer = 0;
  #streamTimer = 0;
  #mutedTimer = 0;
  #asking = new Set();
  room = null;

  constructor(chat, act) {
    this.#chat = chat;
    this.#log = new Log({ ...act, older: () => this.#older(), newer: () => this.#newer(), bottom: () => this.#read() });
    at("newest").addEventListener("click", async () => {
      await this.newest();
      (at("composer").hidden ? at("name") : at("text")).focus();
    });
    addEventListener("focus", () => this.#read());
    document.addEventListener("visibilitychange", () => this.#read());
  }

  close() {
    this.#stop?.abort();
    for (const timer of [this.#markTimer, this.#typingTimer, this.#streamTimer, this.#mutedTimer]) clearTimeout(timer);
    this.#markTimer = 0;
    this.room = null;
  }

  // Follows a conversation until another is opened; seq: a message to show; settled: when nobody else follows it here.
  async open(id, seq, settled) {
    this.close();
    const stop = (this.#stop = new AbortController());
    const room = (this.room = new Room(id, this.#chat.me.id, this.#chat.writes));
    this.#marked = 0;
    this.#fresh = null;
    this.#to = "end";
    this.#log.stuck = true;
    this.draw();
    at("loading").hidden = false;
    try {
      await settled;
      await this.#follow(room, stop.signal, seq);
    } catch (error) {
      if (!stop.signal.aborted) this.#chat.lost(error);
    }
  }

  async #follow(room, signal, seq) {
    let first = true;
    const state = (now) => this.#chat.link.told(now) && this.#recheck(room);
    for await (const change of this.#chat.polis.follow(`conversation/${room.id}`, { signal, state, attempts: Infinity })) {
      const around = change.kind === "snapshot" && room.window.newer ? room.window.first : 0;
      const said = room.take(change);
      if (change.kind === "snapshot") {
        if (first) this.#fresh = this.#unread(room);
        await this.#begun(room, around || (first ? seq : 0));
        first = false;
      } else if (change.data.entry) this.#happened(room, change.data.entry, said);
      else if (change.data.stream) this.#spoken(room, change.data.stream);
      this.draw();
    }
  }

  #unread({ id, seq }) {
    const known = this.#chat.list.get(id);
    return known && known.read_seq < seq ? { after: known.read_seq, until: seq } : null;
  }

  async #begun(room, seq) {
    at("loading").hidden = true;
    const { conversation } = room;
    this.#chat.list.change(room.id, { conversation });
    this.#chat.opened(room);
    this.#chat.outbox.settle(room.id, room.seq);
    if (room.streams.size) this.#watchStreams(room);
    this.#read();
    if (seq) await this.jump(seq);
    const [marks, presence] = await Promise.all([this.#ask("ListMarks", { limit: 200 }), this.#ask("ListPresence", {})]);
    marks.forEach((mark) => room.mark(mark));
    presence.forEach((each) => room.present(each));
    this.draw();
  }

  // What is nice to know and goes without.
  async #ask(operation, fields) {
    try {
      return (await this.#chat.polis.call(operation, { conversation_id: this.room.id, ...fields })).items;
    } catch {
      return [];
    }
  }

  #happened(room, entry, said) {
    const { list, people, outbox } = this.#chat;
    list.change(room.id, { conversation: room.conversation && { ...room.conversation, last_at: entry.at, head_seq: entry.seq } });
    if (said?.client_id && said.sender_id === room.me) outbox.drop(said.client_id);
    outbox.settle(room.id, room.seq);
    if (said && said.sender_id !== room.me) {
      if (!room.streamed.delete(said.stream?.id)) tell(`${people.of(said.sender_id).name}: ${said.text || "a file"}`);
      else tell(`${people.of(said.sender_id).name} has answered: ${said.text}`);
      list.change(room.id, { unread: (list.get(room.id)?.unread ?? 0) + 1 });
    }
    if (entry.kind === "participant") this.#chat.opened(room);
    const [, asked] = /^ask:([^:]+):/.exec(said?.client_id ?? "") ?? [];
    if (asked) this.#chat.asks.refresh(asked);
    this.#read();
  }

  #spoken(room, { stream_id: id, at: from, state, producer_id: producer }) {
    if (from === 0 && state === "open") tell(`${this.#chat.people.of(producer).name} is answering`);
    if (room.behind(id)) this.#catchUp(room, id);
    this.#watchStreams(room);
  }

  // Streams are told once and kept nowhere: one of which a piece was missed, or nothing is heard, is asked for.
  async #catchUp(room, id) {
    if (this.#asking.has(id)) return;
    this.#asking.add(id);
    try {
      const { length } = room.streams.get(id);
      room.resume(await this.#chat.polis.call("GetStream", { stream_id: id, at: length }));
    } catch (error) {
      if (error.status === 404) room.streams.delete(id);
    } finally {
      this.#asking.delete(id);
    }
    this.draw();
  }

  #recheck(room) {
    for (const id of room.streams.keys()) this.#catchUp(room, id);
  }

  #watchStreams(room) {
    clearTimeout(this.#streamTimer);
    this.#streamTimer = setTimeout(() => {
      if (room !== this.room || !room.streams.size) return;
      this.#recheck(room);
      this.#watchStreams(room);
    }, SILENT_MS);
  }

  draw(to = "") {
    this.#to ||= to;
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    const { room } = this;
    const { people, outbox } = this.#chat;
    if (!room) return;
    const pending = outbox.of(room.id).filter((item) => item.state !== "sent" || item.seq > room.seq);
    const whole = !room.window.newer;
    this.#log.draw(rows(room, whole ? pending : [], people, this.#fresh), { whole, to: this.#to });
    this.#to = "";
    if (room.conversation) this.#head(room);
    at("empty").hidden = !room.conversation || room.window.items.length > 0 || room.streams.size > 0 || pending.length > 0;
    this.#typing(room);
  }

  #head(room) {
    const { people } = this.#chat;
    const { conversation } = room;
    at("name").textContent = titleOf(conversation, people);
    at("about").textContent = aboutOf(room, people);
    showHandoffs(this.#chat, room);
    at("composer").hidden = !room.speaks;
    at("mute").hidden = room.speaks;
    if (at("mute").textContent !== room.silence) at("mute").textContent = room.silence;
    clearTimeout(this.#mutedTimer);
    const mutedMs = room.mutedMs();
    if (mutedMs) this.#mutedTimer = setTimeout(() => this.drawNow(), Math.min(mutedMs + 50, DAY_MS));
  }

  #typing(room) {
    const { ids, over } = room.typists();
    const names = ids.map((id) => this.#chat.people.of(id).name);
    const text = names.length ? `${listed(names)} ${names.length > 1 ? "are" : "is"} typing…` : "";
    if (at("typing").textContent !== text) at("typing").textContent = text;
    clearTimeout(this.#typingTimer);
    if (names.length) this.#typingTimer = setTimeout(() => this.drawNow(), over - Date.now() + 50);
  }

  // What is in sight of somebody who looks is read.
  #read() {
    const { room } = this;
    if (!room?.conversation || !this.#log.stuck || room.window.newer || document.hidden || !document.hasFocus()) return;
    const { list } = this.#chat;
    if (list.get(room.id)?.unread) list.change(room.id, { unread: 0, read_seq: room.seq });
    if (room.seq <= this.#marked || this.#markTimer) return;
    this.#markTimer = setTimeout(() => this.#mark(room), this.#marked ? MARK_MS : 0);
  }

  #mark(room) {
    this.#markTimer = 0;
    if (room !== this.room || !room.role) return;
    this.#marked = room.seq;
    this.#chat.mark(room.id, room.seq).catch(() => (this.#marked = 0));
  }

  async #older() {
    const { room } = this;
    if (!room?.window.older || !room.conversation) return;
    const { first } = room.window;
    const { items } = await this.#page(room, { around: first, limit: PAGE });
    if (room !== this.room) return;
    room.window.before(items.filter(({ seq }) => seq < first), first);
    this.drawNow();
  }

  async #newer() {
    const { room } = this;
    if (!room?.window.newer) return;
    const { last } = room.window;
    const { items, more, missed } = await this.#page(room, { since: last, limit: PAGE });
    if (room !== this.room) return;
    room.window.after(items, { newer: more || missed, last });
    this.drawNow();
  }

  // missed: whether something was heard while it was read, which may be missing in it.
  async #page(room, fields) {
    const { seq } = room;
    const { items, next_cursor: next } = await this.#chat.polis.call("ListMessages", { conversation_id: room.id, ...fields });
    return { items, more: Boolean(next), missed: room.seq > seq };
  }

  // Shows a message, wherever in the conversation it stands.
  async jump(seq) {
    const { room } = this;
    if (this.#log.show(seq)) return;
    const { items, more, missed } = await this.#page(room, { around: seq, limit: PAGE });
    if (room !== this.room) return;
    room.window.reset(items, { older: true, newer: more || missed });
    this.#log.stuck = false;
    this.drawNow();
    if (!this.#log.show(seq)) throw new Error("This message is kept no more.");
  }

  async newest() {
    const { room } = this;
    for (let turn = 0; room?.window.newer && turn < TURNS; turn++) {
      const { items, missed } = await this.#page(room, { limit: PAGE });
      if (room !== this.room) return;
      room.window.reset(items.toReversed(), { older: true, newer: missed });
    }
    this.#log.stuck = true;
    this.draw("end");
    this.#read();
  }
}

function aboutOf(room, people) {
  const { conversation, participants } = room;
  const others = [...participants.values()].filter(({ principal_id: id, state }) => id !== room.me && state === "joined");
  if (conversation.kind === "direct") {
    const [other] = others;
    if (!other) return "";
    return other.kind === "agent" ? `Agent ${people.of(other.principal_id).note}` : room.about(other.principal_id);
  }
  const here = others.filter(({ principal_id: id }) => room.about(id) !== "offline").length;
  const all = others.length + (room.role ? 1 : 0);
  const count = others.length ? `${all} ${all === 1 ? "takes" : "take"} part${here ? `, ${here} here now` : ""}` : "Nobody else takes part yet";
  return conversation.topic ? `${conversation.topic} · ${count}` : count;
}
