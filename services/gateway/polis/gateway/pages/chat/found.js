// Messages that hold words: in all conversations, or in one.

import { button, h } from "./element.js";
import { openDialog } from "./dialog.js";
import { short } from "./message.js";
import { titleOf } from "./people.js";
import { full, short as when } from "./times.js";

export function found(chat, text, conversationId) {
  openDialog(conversationId ? "Search in this conversation" : "Search messages", (close) => {
    const input = h("input", { type: "search", value: text, required: true, maxLength: 200, autofocus: true });
    const list = h("ul", { className: "found" });
    const state = h("p", { role: "status" });
    const further = button("Show more", () => search(next), { hidden: true });
    let next = null;

    const search = (after) => chat.attempt(async () => {
      const page = await chat.polis.call("SearchMessages", { text: input.value, after, ...(conversationId && { conversation_id: conversationId }) });
      if (!after) list.replaceChildren();
      list.append(...page.items.map(({ message }) => line(chat, message, close)));
      next = page.next_cursor ?? null;
      further.hidden = !next;
      if (list.children.length) state.textContent = `${list.children.length}${next ? " or more" : ""} found`;
      else state.textContent = next ? "Nothing was found so far." : "Nothing was found. Words are found by their beginnings.";
    });
    const submit = (event) => {
      event.preventDefault();
      search();
    };
    if (text) search();
    return [h("form", { className: "row", role: "search", on: { submit } }, h("label", { className: "grow" }, "Words", input), h("button", { type: "submit" }, "Search")), state, list, further];
  });
}

export function line(chat, message, close) {
  const { conversation_id: id, seq } = message;
  const conversation = chat.list.get(id)?.conversation;
  const where = conversation && chat.open.room?.id !== id ? `${titleOf(conversation, chat.people)}, ` : "";
  const go = () => {
    close();
    if (chat.open.room?.id === id) chat.attempt(() => chat.open.jump(seq));
    else chat.go(id, seq);
  };
  return h("li", {}, button([h("span", { className: "head" }, `${where}${chat.people.name(message.sender_id)}, `, h("time", { dateTime: message.sent_at, title: full(message.sent_at) }, when(message.sent_at))), h("span", {}, short(message.text))], go, { className: "plain" }));
}
