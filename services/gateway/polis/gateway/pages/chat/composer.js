// Where one writes: a text that is kept until it is sent, what it answers or changes, and its files.

import { store } from "./attachments.js";
import { at, button, h } from "./element.js";
import { mentioned } from "./mentions.js";
import { short } from "./message.js";

const MOST_FILES = 16;
const TYPING_MS = 4_000;
const DRAFT_MS = 2_000;
const TOUCH = matchMedia("(pointer: coarse)");

export class Composer {
  #chat;
  #room = null;
  #reply = null;
  #edited = null;
  #files = [];
  #typedAt = 0;
  #timer = 0;
  #text = at("text");

  constructor(chat) {
    this.#chat = chat;
    this.#text.addEventListener("input", () => this.#written());
    this.#text.addEventListener("keydown", (event) => this.#key(event));
    this.#text.addEventListener("paste", (event) => this.#take(event.clipboardData.files, event));
    at("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    at("attach").addEventListener("click", () => at("file").click());
    at("file").addEventListener("change", () => {
      this.#take(at("file").files);
      at("file").value = "";
    });
    const main = at("main");
    main.addEventListener("dragover", (event) => this.#room && event.preventDefault());
    main.addEventListener("drop", (event) => this.#room && this.#take(event.dataTransfer.files, event));
  }

  // Begins for a conversation with what was begun in it, or for none.
  async open(room) {
    this.leave();
    this.#room = room;
    at("composer").hidden = !room?.speaks;
    if (!room) return;
    const kept = this.#chat.drafts.local(room.id);
    this.#fill(kept?.text ?? "", kept?.reply_to ?? null);
    const draft = await this.#chat.drafts.read(room.id);
    if (draft && this.#room === room && !this.#edited && this.#text.value === (kept?.text ?? "")) this.#fill(draft.text, draft.reply_to ?? null);
  }

  leave() {
    if (this.#room && !this.#edited) this.#keepDraft();
    clearTimeout(this.#timer);
    for (const file of this.#files) file.stop.abort();
    this.#files = [];
    this.#room = this.#edited = null;
    this.#drawFiles();
  }

  reply(message) {
    this.#edited = null;
    this.#reply = message.seq;
    this.#context();
    this.focus();
  }

  edit(message) {
    this.#keepDraft();
    this.#edited = message;
    this.#reply = null;
    this.#text.value = message.text;
    this.#grow();
    this.#context();
    this.focus();
  }

  // Takes back what was written before.
  write(text, reply) {
    this.#fill(text, reply);
    this.focus();
  }

  focus() {
    this.#text.focus();
    this.#text.setSelectionRange(this.#text.value.length, this.#text.value.length);
  }

  #fill(text, reply) {
    this.#text.value = text;
    this.#reply = reply;
    this.#grow();
    this.#context();
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && !(TOUCH.matches && !event.ctrlKey)) {
      event.preventDefault();
      this.#send();
    } else if (event.key === "Escape" && (this.#edited || this.#reply)) {
      event.stopPropagation();
      this.#cancel();
    } else if (event.key === "ArrowUp" && this.#text.value === "" && !this.#edited) {
      const last = this.#chat.lastOfMine();
      if (last) {
        event.preventDefault();
        this.edit(last);
      }
    }
  }

  #cancel() {
    if (this.#edited) this.#fill(this.#chat.drafts.local(this.#room.id)?.text ?? "", null);
    this.#edited = this.#reply = null;
    this.#context();
    this.focus();
  }

  #context() {
    const room = this.#room;
    const message = this.#edited ?? (this.#reply ? room?.window.message(this.#reply) : null);
    at("context").hidden = !this.#edited && !this.#reply;
    const words = this.#edited ? "Change your message" : `Answer ${message ? `${this.#chat.people.of(message.sender_id).name}: ${short(message.text)}` : "an earlier message"}`;
    at("context").replaceChildren(h("span", {}, words), button("Cancel", () => this.#cancel()));
    at("send").textContent = this.#edited ? "Save" : "Send";
  }

  #written() {
    this.#grow();
    if (this.#edited) return;
    this.#chat.drafts.keepLocal(this.#room.id, this.#text.value, this.#reply);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#keepDraft(), DRAFT_MS);
    const now = Date.now();
    const on = this.#text.value !== "";
    if (on && now - this.#typedAt < TYPING_MS) return;
    if (!on && !this.#typedAt) return;
    this.#typedAt = on ? now : 0;
    this.#chat.typing(this.#room.id, on);
  }

  #keepDraft() {
    this.#chat.drafts.keep(this.#room.id, this.#text.value, this.#reply);
  }

  #grow() {
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight + 2}px`;
  }

  #send() {
    const text = this.#text.value.trim();
    if (this.#edited) {
      if (text) this.#change(this.#edited, text);
      this.#cancel();
      return;
    }
    if (this.#files.some(({ part }) => !part)) {
      this.#chat.complain(new Error("A file is still on its way, or could not be stored: wait for it, or take it out."));
      return;
    }
    const parts = this.#files.map(({ part }) => part);
    if (!text && !parts.length) return;
    if (this.#chat.send({ text, parts, reply_to: this.#reply, mentions: this.#meant(text) }) === false) return;
    clearTimeout(this.#timer);
    this.#typedAt = 0;
    this.#files = [];
    this.#drawFiles();
    this.#fill("", null);
    this.#chat.drafts.drop(this.#room.id);
  }

  // What was not taken is there to be changed, or sent, once more.
  async #change(message, text) {
    const room = this.#room;
    if ((await this.#chat.edit(message.seq, text, this.#meant(text))) || room !== this.#room || this.#edited) return;
    this.edit(message);
    this.#text.value = text;
    this.#grow();
  }

  // Of those who read it: who takes part, or anybody in the org.
  #meant(text) {
    const { conversation, participants } = this.#room;
    const reads = ({ id, kind }) => kind === "user" && (conversation.visibility === "org" || participants.get(id)?.state === "joined");
    return mentioned(text, this.#chat.people.others().filter(reads));
  }

  #take(files, event) {
    if (!files.length || !this.#room) return;
    event?.preventDefault();
    const room = this.#room;
    for (const file of [...files].slice(0, MOST_FILES - this.#files.length)) {
      const taken = { name: file.name, part: null, why: "", done: 0, stop: new AbortController() };
      this.#files.push(taken);
      const progress = (done) => {
        taken.done = done;
        if (taken.bar) taken.bar.value = done;
      };
      store(this.#chat.polis, file, progress, taken.stop.signal).then(
        (part) => Object.assign(taken, { part }),
        (error) => Object.assign(taken, { why: error.message }),
      ).finally(() => this.#room === room && this.#drawFiles());
    }
    this.#drawFiles();
  }

  #drawFiles() {
    at("files").hidden = !this.#files.length;
    at("files").replaceChildren(...this.#files.map((file) => this.#fileLine(file)));
  }

  #fileLine(file) {
    file.bar = h("progress", { max: 1, value: file.done, aria: { label: `${file.name} is on its way` } });
    const remove = () => {
      file.stop.abort();
      this.#files = this.#files.filter((each) => each !== file);
      this.#drawFiles();
      this.focus();
    };
    const state = file.why ? h("span", { className: "bad", role: "alert" }, file.why) : file.part ? "" : file.bar;
    return h("li", {}, h("span", {}, file.name), state, h("button", { type: "button", aria: { label: `Take out ${file.name}` }, on: { click: remove } }, "×"));
  }
}
