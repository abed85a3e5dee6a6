// What somebody is asked in a conversation: a card that says what is asked, and takes the answer of those who may give one.

import { fieldsOf, valueOf, wrongFields } from "../schema-form.js";
import { button, h } from "./element.js";
import { full } from "./times.js";

const WORDS = { approve: "Approve", deny: "Deny", submit: "Send", done: "Done", decline: "Decline" };
const PLAIN = new Set(["deny", "decline"]);
const ENDED = { answered: "This has been answered.", expired: "The time for this is over.", withdrawn: "No answer is needed any more." };
const MOST = 200;

export class Asks {
  #chat;
  #sheets = new Map();
  #reading = new Map();
  #following = null;

  constructor(chat) {
    this.#chat = chat;
  }

  // The card of a part; it is drawn again whenever more is known.
  card({ title, content }) {
    const id = String(content.ask_id);
    const card = h("section", { className: "card", data: { ask: id }, aria: { label: title || "A question" } });
    this.#draw(card, this.#sheets.get(id));
    if (!this.#sheets.has(id)) this.refresh(id);
    return card;
  }

  // Reads how it stands by now. What was asked for before comes too late, whenever it comes.
  async refresh(id) {
    const turn = Symbol(id);
    this.#reading.set(id, turn);
    if (this.#sheets.size >= MOST) this.#sheets.delete(this.#sheets.keys().next().value);
    let sheet = null;
    try {
      sheet = await this.#chat.polis.call("GetAsk", { ask_id: id });
    } catch (error) {
      if (!error.status || error.status >= 500) sheet = { away: true };
    }
    if (this.#reading.get(id) !== turn) return;
    this.#reading.delete(id);
    if (!sheet?.away) this.#sheets.set(id, sheet);
    if (sheet?.ask?.state === "open") this.#following ??= this.#follow();
    for (const card of document.querySelectorAll(`#messages [data-ask="${CSS.escape(id)}"]`)) this.#draw(card, sheet);
  }

  // Others may answer first: what changes in the inbox is read anew, if it is shown here.
  async #follow() {
    try {
      for await (const { kind, data } of this.#chat.polis.follow("asks", { attempts: Infinity })) {
        const changed = kind === "change" ? [data.ask?.id ?? data.left] : [...this.#sheets.keys()];
        for (const id of changed) if (this.#open(id)) this.refresh(id);
      }
    } catch {
      this.#following = null;
    }
  }

  #open(id) {
    return this.#sheets.get(id)?.ask?.state === "open";
  }

  #draw(card, sheet) {
    const focused = card.contains(document.activeElement);
    card.replaceChildren(...this.#content(card.dataset.ask, sheet).flat().filter(Boolean));
    if (focused) card.closest(".message")?.focus();
  }

  #content(id, sheet) {
    if (sheet === undefined) return [h("p", {}, "Reading what is asked…")];
    if (sheet === null) return [h("p", {}, "Others can answer this.")];
    if (sheet.away) return [h("p", {}, "What is asked cannot be read just now."), button("Try again", () => this.refresh(id))];
    const { ask, mine, answer } = sheet;
    if (ask.state !== "open") return [h("p", {}, ENDED[ask.state] ?? "This has ended."), answer ? h("p", {}, `It says: ${this.#named(sheet, answer.decision)}`) : null];
    if (mine) return [h("p", {}, `You have answered: ${this.#named(sheet, mine)}.`)];
    return [this.#about(sheet), this.#form(id, sheet)];
  }

  #about({ ask, value }) {
    return [
      ask.due_at ? h("p", {}, h("small", {}, `Until ${full(ask.due_at)}`)) : null,
      value === null || value === undefined ? null : h("details", {}, h("summary", {}, "What it is about"), h("pre", { tabIndex: 0 }, typeof value === "string" ? value : JSON.stringify(value, null, 2))),
    ];
  }

  #form(id, sheet) {
    const { ask, form, value, editable, decisions, choices } = sheet;
    const edits = ask.kind === "approval";
    const fields = h("fieldset", { hidden: true });
    if (edits ? editable && form : form || ask.kind === "input") {
      fields.append(...fieldsOf(form ?? {}, edits ? value : undefined));
      fields.hidden = false;
    }
    const note = h("input", { name: "note", maxLength: 2000, autocomplete: "off" });
    const told = h("p", { className: "bad", role: "alert" });
    const send = (decision) => this.#answer(id, { decision, note: note.value, ...(!fields.hidden && !PLAIN.has(decision) && { value: valueOf(fields) }) }, fields, told);
    const offered = choices.length ? choices.map(({ key }) => key) : decisions;
    const buttons = offered.map((decision, n) => {
      const submits = n === 0 && !PLAIN.has(decision);
      const press = submits ? {} : { click: () => send(decision) };
      return h("button", { type: submits ? "submit" : "button", on: press }, this.#named(sheet, decision));
    });
    const submit = (event) => {
      event.preventDefault();
      send(offered[0]);
    };
    return h("form", { on: { submit } }, fields, h("label", {}, "Note (optional)", note), h("p", { className: "row" }, buttons), told);
  }

  #named({ choices, votes }, decision) {
    const choice = choices.find(({ key }) => key === decision);
    const title = choice ? choice.title || choice.key : (WORDS[decision] ?? decision);
    return votes?.[decision] ? `${title} (${votes[decision]})` : title;
  }

  async #answer(id, answer, fields, told) {
    told.textContent = "";
    try {
      await this.#chat.polis.answer(id, answer);
      await this.refresh(id);
    } catch (error) {
      if (error.faults?.length) wrongFields(fields, error.faults);
      told.textContent = error.message;
      if (error.status === 409) this.refresh(id);
    }
  }
}
