// The conversations that one takes part in, those where something happened last first.

import { at, h, keyed } from "./element.js";
import { tell } from "./heard.js";
import { MOST as NEAR, Nearby } from "./nearby.js";
import { titleOf } from "./people.js";
import { full, short } from "./times.js";

const PAGE = 50;
const AT_ONCE = 200;
const MOST = 2_000;
const SETTLED_MS = 300;
const TOGETHER_MS = 100;
const KINDS = { direct: "", group: "Group", channel: "Channel", agents: "Agents" };

export class List {
  #chat;
  #items = new Map();
  #next = null;
  #wanted = PAGE;
  #filter = "";
  #timer = 0;
  #nearby;
  #reading = Promise.resolve();
  #again = 0;
  #following = false;
  #parts = null;
  #come = new Set();
  current = null;

  constructor(chat) {
    this.#chat = chat;
    this.#nearby = new Nearby(chat.polis, (...told) => this.#heard(...told));
    at("further").addEventListener("click", () => chat.attempt(() => this.more()));
    at("find").addEventListener("input", () => {
      const looked = Boolean(this.#filter);
      this.#filter = at("find").value.trim().toLowerCase();
      this.draw();
      // Who looks for one looks among all; behind that as many are shown as before.
      if (looked !== Boolean(this.#filter) && (this.#next || this.#items.size > this.#wanted)) chat.attempt(() => this.read());
    });
  }

  get unread() {
    const counted = [...this.#items.values()].filter(({ conversation }) => !this.#chat.muted.has(conversation.id));
    return counted.reduce((sum, { unread }) => sum + unread, 0);
  }

  // Where one may say something besides there, as far as the list knows.
  others(id) {
    return this.#byTime().filter(({ conversation, invited }) => conversation.id !== id && !invited && !conversation.archived_at);
  }

  get(id) {
    return this.#items.get(id) ?? null;
  }

  // Whether all that changes it is told; otherwise it has to be read now and then.
  get told() {
    return this.#following && this.#items.size <= NEAR;
  }

  // Where one is added, invited or removed, it is read again; behind a cut, too.
  async listen() {
    const state = (now) => (this.#following = now === "live");
    try {
      for await (const { kind, data } of this.#chat.polis.follow("conversations", { state, attempts: Infinity })) {
        this.#note(kind === "snapshot" ? data.participations : [data.participation].filter(Boolean), kind === "snapshot");
        if (data.left) this.#parts.delete(data.left);
        this.readSoon();
      }
    } catch {
      this.#following = false;
    }
  }

  // Which ones are new. What one is in at the beginning is not.
  #note(told, whole) {
    const ids = told.map(({ conversation_id: id }) => id);
    for (const id of ids) if (this.#parts && !this.#parts.has(id)) this.#come.add(id);
    this.#parts = new Set(whole ? ids : [...this.#parts, ...ids]);
  }

  // Once for all that is told together.
  readSoon() {
    this.#again ||= setTimeout(() => {
      this.#again = 0;
      this.#chat.refresh();
    }, TOGETHER_MS);
  }

  // Reads as many as are shown anew, behind whoever reads already: the last answer is the latest.
  read() {
    return (this.#reading = this.#reading.catch(() => {}).then(() => this.#all()));
  }

  async #all() {
    const come = [...this.#come];
    const found = new Map();
    const wanted = this.#filter ? MOST : this.#wanted;
    let after;
    do {
      const page = await this.#chat.polis.call("ListConversations", { limit: Math.min(AT_ONCE, wanted - found.size), after });
      for (const item of page.items) found.set(item.conversation.id, item);
      after = this.#next = page.next_cursor ?? null;
    } while (after && found.size < wanted);
    this.#greet(come, found);
    for (const [id, now] of found) found.set(id, this.#newer(this.#items.get(id), now));
    this.#items = found;
    this.draw();
    this.#follow();
  }

  // Who does not look at the list is told what others have put there.
  #greet(come, found) {
    for (const id of come) {
      const item = found.get(id);
      this.#come.delete(id);
      if (!item || item.conversation.created_by === this.#chat.me.id) continue;
      tell(`${item.invited ? "You are invited" : "You take part from now on"}: ${titleOf(item.conversation, this.#chat.people)}`);
    }
  }

  // What was heard meanwhile is newer than what was read. What is open is read before the mark of that has come back.
  #newer(known, now) {
    if (!known) return now;
    if (known.conversation.head_seq > now.conversation.head_seq) return known;
    return known.conversation.id === this.current ? { ...now, unread: Math.min(known.unread, now.unread) } : now;
  }

  // Another conversation is open, or none. It is followed by who shows it.
  async choose(id) {
    this.current = id;
    this.draw();
    this.#follow();
    await this.#nearby.leave(id);
  }

  // The one that was left is let go of first.
  #follow() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const others = this.#byTime().filter(({ conversation, invited }) => conversation.id !== this.current && !invited);
      this.#nearby.follow(others.map(({ conversation }) => conversation));
    }, SETTLED_MS);
  }

  #heard(id, seq, { entry, mark }) {
    const item = this.#items.get(id);
    if (!item) return;
    if (mark) return this.#read(item, mark);
    if (seq <= item.conversation.head_seq) return;
    const { kind, actor_id: actor, at: moment, conversation } = entry;
    const counts = kind === "posted" && actor !== this.#chat.me.id;
    this.change(id, { unread: item.unread + (counts ? 1 : 0), conversation: { ...conversation, head_seq: seq, last_at: moment } });
    if (conversation?.archived_at) this.readSoon();
  }

  // On another device.
  #read({ conversation }, { principal_id: who, read_seq: seq }) {
    if (who === this.#chat.me.id && seq >= conversation.head_seq) this.change(conversation.id, { read_seq: seq, unread: 0 });
  }

  #byTime() {
    return [...this.#items.values()].sort((a, b) => b.conversation.last_at.localeCompare(a.conversation.last_at));
  }

  async more() {
    this.#wanted = Math.min(MOST, this.#wanted + PAGE);
    await this.read();
  }

  // Something was heard of a conversation.
  change(id, fields) {
    const item = this.#items.get(id);
    if (!item) return;
    this.#items.set(id, { ...item, ...fields, conversation: { ...item.conversation, ...fields.conversation } });
    this.draw();
  }

  draw() {
    const named = this.#byTime().map((item) => ({ item, name: titleOf(item.conversation, this.#chat.people), open: item.conversation.id === this.current, muted: this.#chat.muted.has(item.conversation.id) }));
    const shown = named.filter(({ name }) => name.toLowerCase().includes(this.#filter));
    keyed(at("conversations"), shown, {
      key: ({ item }) => item.conversation.id,
      same: (a, b) => a.item === b.item && a.name === b.name && a.open === b.open && a.muted === b.muted,
      draw: line,
    });
    at("none").hidden = this.#items.size > 0;
    at("further").hidden = !this.#next || this.#wanted >= MOST;
    const { unread } = this;
    document.title = unread ? `(${unread}) Polis: chat` : "Polis: chat";
  }
}

function line({ item, name, open, muted }, element) {
  const { conversation, unread, invited } = item;
  const kind = KINDS[conversation.kind];
  const link = element.firstElementChild ?? element.appendChild(h("a", { href: `#${conversation.id}` }));
  if (open) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
  link.dataset.unread = unread > 0;
  link.replaceChildren(
    h("span", { className: "name", dir: "auto" }, name),
    h("time", { dateTime: conversation.last_at, title: full(conversation.last_at) }, short(conversation.last_at)),
    h("small", {}, invited ? "You are invited" : [kind, muted ? "Muted" : ""].filter(Boolean).join(" · ")),
    unread > 0 && !open ? h("b", { className: "badge" }, unread >= 100 ? "99+" : String(unread), h("span", { className: "unseen" }, " unread")) : "",
  );
}
