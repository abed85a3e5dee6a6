// The messages of the open conversation: what is in sight stays where it is, whatever comes before or behind it. One of them is in
// the order of tabs, and the arrow keys go from one to the next.

import { at, h, keyed } from "./element.js";
import { drawMessage, drawPending } from "./message.js";
import { drawStream } from "./stream.js";

const NEAR_PX = 60;
const EARLY_PX = 600;
const PLAIN = { day: "separator", notice: "note", new: "separator" };

export class Log {
  #act;
  #log = at("log");
  #messages = at("messages");
  #current = null;
  #frame = 0;
  #reading = false;
  #top = 0;
  #whole = true;

  // act: what can be done with a message; act.older and act.newer read on in a direction, act.bottom hears that the newest is in sight.
  constructor(act) {
    this.#act = act;
    this.#log.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#messages.addEventListener("keydown", (event) => this.#key(event));
    this.#messages.addEventListener("focusin", ({ target }) => this.#choose(target.closest("#messages > li")));
    this.#messages.addEventListener("contextmenu", (event) => this.#contextMenu(event));
    const resized = new ResizeObserver(() => this.stuck && !this.#filledIn && this.toEnd());
    resized.observe(this.#log);
    resized.observe(this.#messages);
    this.stuck = true;
  }

  // rows: of rows.js. whole: whether the newest is among them. to: "end" shows the last one, otherwise what is in sight stays.
  draw(rows, { whole, to }) {
    this.#whole = whole;
    const anchor = this.#anchor();
    const active = document.activeElement;
    keyed(this.#messages, rows, { key: ({ key }) => key, same, draw: (row, element) => this.#row(row, element) });
    if (!this.#current?.isConnected || !this.#current.matches(".message")) this.#choose([...this.#messages.querySelectorAll(":scope > .message")].at(-1));
    // What had the focus may be gone: a button that was pressed, an answer that has become a message.
    if (!active.isConnected) this.#current?.focus({ preventScroll: true });
    if (to === "end" || (this.stuck && !this.#filledIn)) this.toEnd();
    else this.#restore(anchor);
    this.#soon();
  }

  toEnd() {
    this.#log.scrollTop = this.#log.scrollHeight;
    this.stuck = this.#whole;
  }

  // Brings a message into the middle and puts the focus on it.
  show(seq) {
    const element = this.#messages.querySelector(`:scope > [data-seq="${Number(seq)}"]`);
    if (!element) return false;
    this.stuck = false;
    element.scrollIntoView({ block: "center" });
    this.#choose(element);
    element.focus({ preventScroll: true });
    element.classList.add("shown");
    setTimeout(() => element.classList.remove("shown"), 2_000);
    return true;
  }

  // Whether somebody is at a field of a card: it is not moved away from under their hands.
  get #filledIn() {
    return this.#messages.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");
  }

  get #atEnd() {
    return this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < NEAR_PX;
  }

  #row(row, element) {
    if (row.kind === "message") drawMessage(row, element, this.#act);
    else if (row.kind === "pending") drawPending(row, element, this.#act);
    else if (row.kind === "stream") drawStream(row, element, this.#act);
    else {
      element.className = row.kind;
      element.replaceChildren(h("span", { role: PLAIN[row.kind] === "note" ? "note" : undefined }, row.text));
    }
    if (element.matches(".message")) element.tabIndex = element === this.#current ? 0 : -1;
    for (const inner of element === this.#current ? [] : element.querySelectorAll("a, [tabindex='0']")) inner.tabIndex = -1;
  }

  // The one that the tab key finds; what can be used in it comes behind it.
  #choose(element) {
    if (!element || element === this.#current || !element.matches(".message")) return;
    if (this.#current?.isConnected) this.#reach(this.#current, -1);
    this.#current = element;
    this.#reach(element, 0);
  }

  #reach(element, tabIndex) {
    element.tabIndex = tabIndex;
    for (const inner of element.querySelectorAll("a, button, pre, .table, audio")) inner.tabIndex = tabIndex;
  }

  #key(event) {
    const { key, target } = event;
    const item = target.closest("#messages > li");
    if (!item || (target !== item && !["ArrowUp", "ArrowDown"].includes(key))) return;
    if (target.matches("audio, pre, .table")) return;
    const all = [...this.#messages.querySelectorAll(":scope > .message")];
    const place = all.indexOf(item);
    const next = { ArrowUp: all[place - 1], ArrowDown: all[place + 1], Home: all[0], End: all.at(-1) }[key];
    if (next) next.focus();
    else if (key === "ArrowDown" && place === all.length - 1) at("text").focus();
    else if (key === "Enter" || key === "ContextMenu" || (key === "F10" && event.shiftKey)) item.querySelector(":scope > .more")?.click();
    else return;
    event.preventDefault();
  }

  #contextMenu(event) {
    const item = event.target.closest("#messages > .message");
    const more = item?.querySelector(":scope > .more");
    if (!more || event.target.closest("a, pre, img, audio") || !getSelection().isCollapsed) return;
    event.preventDefault();
    more.click();
  }

  // The first message in sight and where it stands.
  #anchor() {
    const { top } = this.#log.getBoundingClientRect();
    for (const element of this.#messages.querySelectorAll(":scope > .message")) {
      const box = element.getBoundingClientRect();
      if (box.bottom > top) return { element, offset: box.top };
    }
    return null;
  }

  #restore(anchor) {
    if (anchor?.element.isConnected) this.#log.scrollTop += anchor.element.getBoundingClientRect().top - anchor.offset;
  }

  #scrolled() {
    // Only who goes back leaves the end: what grows or shrinks meanwhile does not.
    const { scrollTop } = this.#log;
    if (this.#atEnd) this.stuck = this.#whole;
    else if (scrollTop < this.#top) this.stuck = false;
    this.#top = scrollTop;
    this.#soon();
  }

  #soon() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#look());
  }

  async #look() {
    if (this.stuck) this.#act.bottom();
    at("newest").hidden = this.stuck;
    if (this.#reading) return;
    const { scrollTop, scrollHeight, clientHeight } = this.#log;
    this.#reading = true;
    try {
      if (scrollTop < EARLY_PX && (!this.stuck || scrollHeight < clientHeight + EARLY_PX)) await this.#act.older();
      else if (scrollHeight - scrollTop - clientHeight < EARLY_PX) await this.#act.newer();
    } finally {
      this.#reading = false;
    }
  }
}

function same(a, b) {
  return Object.keys(b).every((name) => Object.is(a[name], b[name])) && Object.keys(a).length === Object.keys(b).length;
}
