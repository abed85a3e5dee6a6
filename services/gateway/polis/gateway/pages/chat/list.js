// The conversations that one takes part in, those where something happened last first.

import { at, h, keyed } from "./element.js";
import { titleOf } from "./people.js";
import { full, short } from "./times.js";

const PAGE = 50;
const MOST = 500;
const KINDS = { direct: "", group: "Group", channel: "Channel", agents: "Agents" };

export class List {
  #chat;
  #items = new Map();
  #next = null;
  #wanted = PAGE;
  #filter = "";
  current = null;

  constructor(chat) {
    this.#chat = chat;
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
    const current = this.#items.get(this.current);
    const now = found.get(this.current);
    // What is open is read as it is heard, before the mark of that has come back.
    if (current && now) found.set(this.current, { ...now, unread: Math.min(current.unread, now.unread) });
    this.#items = found;
    this.draw();
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
    const named = [...this.#items.values()].map((item) => ({ item, name: titleOf(item.conversation, this.#chat.people), open: item.conversation.id === this.current }));
    const shown = named.filter(({ name }) => name.toLowerCase().includes(this.#filter));
    shown.sort((a, b) => b.item.conversation.last_at.localeCompare(a.item.conversation.last_at));
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
