// Sends a message on: its words and its parts, into another conversation. Who reads it there reads its files.

import { openDialog } from "./dialog.js";
import { button, h } from "./element.js";
import { titleOf } from "./people.js";

const SHOWN = 50;

// What of a message can be said again: what a run asks is asked of whom it asks.
export function sayable({ text, parts }) {
  const kept = parts.filter(({ kind }) => kind !== "ask");
  return text || kept.length ? { text, parts: kept } : null;
}

export function sendOnDialog(chat, said) {
  const { room } = chat.open;
  const places = chat.list.others(room.id).map(({ conversation }) => ({ id: conversation.id, name: titleOf(conversation, chat.people) }));
  openDialog("Send on to", (close) => {
    const list = h("ul", { className: "people", aria: { label: "Conversations" } });
    const input = h("input", { autocomplete: "off", autofocus: true });
    const send = (id) => {
      if (!chat.send({ ...said, reply_to: null }, id)) return;
      close();
      chat.go(id);
    };
    const draw = () => {
      const wanted = input.value.trim().toLowerCase();
      const found = places.filter(({ name }) => name.toLowerCase().includes(wanted)).slice(0, SHOWN);
      list.replaceChildren(...found.map(({ id, name }) => h("li", {}, button(name, () => send(id), { className: "plain" }))));
      if (!found.length) list.replaceChildren(h("li", {}, "No other conversation of this name."));
    };
    input.addEventListener("input", draw);
    draw();
    return [h("label", {}, "Conversation", input), list];
  });
}
