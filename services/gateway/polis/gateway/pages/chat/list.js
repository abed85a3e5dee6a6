// The conversations that one takes part in, those where something happened last first.

import { at, h, keyed } from "./element.js";
import { Nearby } from "./nearby.js";
import { titleOf } from "./people.js";
import { full, short } from "./times.js";

const PAGE = 50;
const MOST = 500;
const SETTLED_MS = 300;
const KINDS = { direct: "", group: "Group", channel: "Channel", agents: "Agents" };

export class List {
  #chat;
  #items = new Map();
  #next = null;
  #wanted = PAGE;
  #filter = "";
  #timer = 0;
  #nearby;
  current = null;

  constructor(chat) {
    this.#chat = chat;
    this.#nearby = new Nearby(chat.polis, (...told) => this.#heard(...told));
    at("further").addEventListener("click", () => chat.attempt(() => this.more()));
    at("find").addEventListener("input", () => {
      this.#filter = at("find").value.trim().toLowerCase();
      this.draw();
    });
  }

  get unread() {
    return [...this.#items.values()].reduce((sum, { unread }) => sum + unread, 0);
  }

  get(id) {
    return this.#items.get(id) ?? null;
  }

  // Reads as many as are shown anew.
  async read() {
    const found = new Map();
    let after;
    do {
      const page = await this.#chat.polis.call("ListConversations", { limit: PAGE, after });
      for (const item of page.items) found.set(item.conversation.id, item);
      after = this.#next = page.next_cursor ?? null;
    } while (after && found.size < this.#wanted);
    for (const [id, now] of found) found.set(id, this.#newer(this.#items.get(id), now));
    this.#items = found;
    this.draw();
    this.#follow();
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

  #heard(id, seq, { actor_id: actor, at: moment }) {
    const item = this.#items.get(id);
    if (!item || seq <= item.conversation.head_seq) return;
    this.change(id, { unread: item.unread + (actor === this.#chat.me.id ? 0 : 1), conversation: { head_seq: seq, last_at: moment } });
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
    const named = this.#byTime().map((item) => ({ item, name: titleOf(item.conversation, this.#chat.people), open: item.conversation.id === this.current }));
    const shown = named.filter(({ name }) => name.toLowerCase().includes(this.#filter));
    keyed(at("conversations"), shown, {
      key: ({ item }) => item.conversation.id,
      same: (a, b) => a.item === b.item && a.name === b.name && a.open === b.open,
      draw: line,
    });
    at("none").hidden = this.#items.size > 0;
    at("further").hidden = !this.#next || this.#wanted >= MOST;
    const { unread } = this;
    document.title = unread ? `(${unread}) Polis: chat` : "Polis: chat";
  }
}

function line({ item, name, open }, element) {
  const { conversation, unread, invited } = item;
  const kind = KINDS[conversation.kind];
  const link = element.firstElementChild ?? element.appendChild(h("a", { href: `#${conversation.id}` }));
  if (open) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
  link.dataset.unread = unread > 0;
  link.replaceChildren(
    h("span", { className: "name" }, name),
    h("time", { dateTime: conversation.last_at, title: full(conversation.last_at) }, short(conversation.last_at)),
    h("small", {}, invited ? "You are invited" : kind),
    unread > 0 && !open ? h("b", { className: "badge" }, unread >= 100 ? "99+" : String(unread), h("span", { className: "unseen" }, " unread")) : "",
  );
}
