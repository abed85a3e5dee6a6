// The chat: who is here, their conversations, the one that is open, and what is written.

import { Polis, Problem } from "../client/src/index.js";
import { Asks } from "./asks.js";
import { beginDialog } from "./begin.js";
import { Composer } from "./composer.js";
import { details, invited } from "./details.js";
import { confirmed } from "./dialog.js";
import { Drafts } from "./drafts.js";
import { at } from "./element.js";
import { showWaiting } from "./handoffs.js";
import { found } from "./found.js";
import { Kept } from "./kept.js";
import { Link } from "./link.js";
import { List } from "./list.js";
import { openMenu } from "./menu.js";
import { history, signDialog } from "./messages.js";
import { Muted } from "./muted.js";
import { Open } from "./open.js";
import { Outbox } from "./outbox.js";
import { People } from "./people.js";
import { sayable, sendOnDialog } from "./sendon.js";

const LOOK_MS = 10_000;
const HANDOFFS_EVERY = 3;
const SELDOM = 18;
const PRESENT_MS = 45_000;
const SIGNS = ["👍", "❤️", "😂", "🎉", "😮", "👀"];
// Who has signed in there comes back to the same conversation.
const DOOR = "/?then=/chat";
const TOUCH = matchMedia("(pointer: coarse)");

class Chat {
  polis = new Polis();

  async start() {
    const me = await this.polis.call("GetMe");
    this.me = me.principal;
    this.scopes = new Set(me.scopes);
    this.writes = this.scopes.has("messaging:write");
    at("who").textContent = me.principal.name;
    this.kept = new Kept(`${me.org_id}/${me.principal.id}`);
    this.people = new People(this.polis, me.principal, () => this.redraw());
    this.drafts = new Drafts(this.polis, this.kept);
    this.asks = new Asks(this);
    this.link = new Link(() => this.outbox.run());
    this.muted = new Muted(this.polis, () => this.list.draw());
    this.list = new List(this);
    this.outbox = new Outbox(this.kept, (item) => this.#post(item), (id) => this.open.room?.id === id && this.open.draw());
    this.composer = new Composer(this);
    this.open = new Open(this, this.#actions());
    this.#listen();
    await Promise.all([this.people.read(), this.list.read(), showWaiting(this), this.muted.read().catch(() => {})]);
    this.outbox.run();
    this.#present();
    this.#look();
    this.list.listen();
    this.show();
  }

  // What the address names is open.
  show() {
    const [, id, seq] = /^#([0-9a-f-]{36})(?:\/(\d{1,15}))?$/.exec(location.hash) ?? [];
    document.body.dataset.shown = id ? "conversation" : "list";
    at("skip").href = location.hash || "#";
    if (id && this.open.room?.id === id) {
      if (seq) this.attempt(() => this.open.jump(Number(seq)));
      return;
    }
    const settled = this.list.choose(id ?? null);
    this.composer.open(null);
    at("problem").hidden = true;
    at("more").hidden = true;
    at("name").textContent = id ? "…" : "Choose a conversation";
    at("about").textContent = "";
    at("mute").hidden = true;
    at("handoff").hidden = true;
    at("empty").hidden = true;
    if (!id) return this.open.close();
    const listed = this.list.get(id);
    if (listed?.invited) {
      this.open.close();
      return invited(this, listed.conversation);
    }
    this.open.open(id, seq ? Number(seq) : 0, settled);
  }

  go(id, seq) {
    location.hash = seq ? `#${id}/${seq}` : `#${id}`;
  }

  // The conversation has been read: one can write in it.
  opened(room) {
    const again = !at("more").hidden;
    at("more").hidden = false;
    if (again) return;
    this.composer.open(room);
    if (TOUCH.matches) at("name").focus();
    else if (room.speaks && !at("menu").matches(":popover-open")) this.composer.focus();
  }

  lost(problem) {
    if (problem.status === 401) return this.#door();
    for (const id of ["loading", "mute", "more"]) at(id).hidden = true;
    this.open.close();
    this.composer.open(null);
    this.complain(problem.status === 404 || problem.status === 403 ? new Error("You do not see this conversation, or not any more.") : problem);
    this.refresh();
  }

  typing(id, on) {
    this.polis.typing(id, on).catch(() => {});
  }

  mark(id, seq) {
    return this.polis.read(id, seq);
  }

  send(fields, id = this.open.room.id) {
    if (this.outbox.full) {
      this.complain(new Error("Too many messages wait to be sent. Wait until some of them are, or discard some."));
      return false;
    }
    this.outbox.add({ conversation_id: id, ...fields });
    if (this.open.room?.id === id) this.open.newest();
    return true;
  }

  // Whether it was taken.
  edit(seq, text, mentions) {
    const { room } = this.open;
    const fields = { conversation_id: room.id, seq, text, mentions };
    return this.attempt(() => this.#changed(room, () => this.polis.say("EditMessage", fields)));
  }

  lastOfMine() {
    return this.open.room.window.items.findLast(({ message }) => message?.sender_id === this.me.id && !message.deleted_at)?.message;
  }

  redraw() {
    this.list.draw();
    this.open.draw();
  }

  async refresh({ list = true } = {}) {
    try {
      await Promise.all([list && this.list.read(), showWaiting(this)]);
    } catch (error) {
      if (error.status === 401) this.#door();
    }
  }

  // Where somebody is looking: in the dialog, if one is open.
  complain(error) {
    const told = alertOf();
    told.textContent = error.message;
    told.hidden = false;
  }

  // Whether it was done.
  async attempt(work) {
    alertOf().hidden = true;
    try {
      await work();
      return true;
    } catch (error) {
      if (error instanceof Problem && error.status === 401) this.#door();
      else this.complain(cut(error) ? new Error("The gateway was not reached. Try again in a moment.") : error);
      return false;
    }
  }

  async #post({ conversation_id: id, text, parts, mentions = [], reply_to: reply, client_id: client }) {
    const fields = { text, parts, mentions, client_id: client, ...(reply && { reply_to: reply }) };
    try {
      const posted = await this.polis.post(id, fields);
      if (this.open.room?.id !== id) queueMicrotask(() => this.outbox.settle(id, posted.seq));
      return posted;
    } catch (error) {
      if (error.status === 401) this.#door();
      throw error;
    }
  }

  // What was done to a message is in its answer, before it is heard. What was heard meanwhile may be later than that.
  async #changed(room, work) {
    const { seq } = room;
    const answer = await work();
    if (!answer?.seq || !answer.sender_id || room.seq !== seq || room !== this.open.room) return;
    room.window.put(answer);
    this.open.draw();
  }

  #actions() {
    const call = (operation, fields) => this.attempt(() => {
      const { room } = this.open;
      const way = operation === "PinMessage" ? "call" : "say";
      return this.#changed(room, () => this.polis[way](operation, { conversation_id: room.id, ...fields }));
    });
    const act = {
      me: this.me.id,
      chat: this,
      jump: (seq) => this.attempt(() => this.open.jump(seq)),
      ask: (part) => this.asks.card(part),
      react: (seq, emoji, on) => call("ReactToMessage", { seq, emoji, on }),
      history: (message) => history(this, message),
      again: (item) => this.outbox.again(item.client_id),
      drop: (item) => this.outbox.drop(item.client_id),
      rewrite: (item) => this.composer.write(this.outbox.drop(item.client_id).text, item.reply_to),
      control: (streamId, kind) => this.attempt(() => this.polis.control(this.open.room.id, { kind }, { streamId })),
      menu: (message, anchor) => openMenu(anchor, this.#choices(message, call)),
    };
    return act;
  }

  #choices(message, call) {
    const { room } = this.open;
    const { seq } = message;
    const mine = message.sender_id === this.me.id;
    const copy = { text: "Copy text", act: () => this.attempt(() => navigator.clipboard.writeText(message.text)) };
    const said = sayable(message);
    const texts = [
      navigator.clipboard && message.text ? copy : null,
      said && this.writes ? { text: "Send on…", act: () => sendOnDialog(this, said) } : null,
    ].filter(Boolean);
    if (!room.speaks) return texts;
    return [
      ...SIGNS.map((emoji) => ({ text: emoji, label: `React with ${emoji}`, inline: true, act: () => call("ReactToMessage", { seq, emoji, on: true }) })),
      { text: "Another sign…", act: () => signDialog((emoji) => call("ReactToMessage", { seq, emoji, on: true })) },
      { text: "Answer", act: () => this.composer.reply(message) },
      ...texts,
      { text: message.pinned_at ? "Take the pin off" : "Pin", act: () => call("PinMessage", { seq, pinned: !message.pinned_at }) },
      mine && message.text ? { text: "Edit", act: () => this.composer.edit(message) } : null,
      mine || room.manages ? { text: "Delete…", act: () => this.#delete(seq, call) } : null,
    ].filter(Boolean);
  }

  async #delete(seq, call) {
    if (await confirmed("Delete this message?", "It is gone for everybody. That it was there remains to be seen.", "Delete")) await call("DeleteMessage", { seq });
  }

  #listen() {
    addEventListener("hashchange", () => this.show());
    addEventListener("pagehide", () => this.composer.leave());
    document.addEventListener("visibilitychange", () => this.#present());
    at("back").addEventListener("click", () => {
      location.hash = "";
      at("conversations").querySelector("a")?.focus();
    });
    at("begin").addEventListener("click", () => beginDialog(this));
    at("begin").disabled = false;
    at("begin").hidden = !this.writes;
    at("more").addEventListener("click", () => openMenu(at("more"), details(this)));
    at("skip").addEventListener("click", (event) => {
      event.preventDefault();
      (at("composer").hidden ? at("name") : at("text")).focus();
    });
    at("search").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = at("find").value.trim();
      if (!text) return;
      at("find").value = "";
      at("find").dispatchEvent(new Event("input"));
      found(this, text, null);
    });
  }

  #present() {
    if (!this.writes) return;
    clearTimeout(this.presentTimer);
    this.presentTimer = setTimeout(() => this.#present(), PRESENT_MS);
    this.polis.say("SayPresence", { state: document.hidden ? "away" : "online" }).catch(() => {});
  }

  // What is told of need not be read, but for safety; what waits to be taken over is told to nobody.
  #look() {
    let turn = 0;
    setInterval(() => {
      if (document.hidden) return;
      turn += 1;
      const list = turn % SELDOM === 0 || !this.list.told;
      if (list || turn % HANDOFFS_EVERY === 0) this.refresh({ list });
    }, LOOK_MS);
    document.addEventListener("visibilitychange", () => !document.hidden && this.refresh());
  }

  #door() {
    location.assign(DOOR + location.hash);
  }
}

const cut = (error) => error.passing || error.status === 0 || (error instanceof TypeError && /fetch|network|load failed/i.test(error.message));
const alertOf = () => document.querySelector("dialog[open] > [role=alert]") ?? at("problem");

const chat = new Chat();
try {
  await chat.start();
} catch (error) {
  if (error instanceof Problem && error.status === 401) location.replace(DOOR + location.hash);
  else chat.complain(error);
}
