// What is asked about one message: what it said before, and which sign to answer it with.

import { h } from "./element.js";
import { openDialog } from "./dialog.js";
import { write } from "./rendered.js";
import { full } from "./times.js";

export function history(chat, message) {
  return chat.attempt(async () => {
    const fields = { conversation_id: message.conversation_id, seq: message.seq };
    const { items } = await chat.polis.call("ListMessageRevisions", fields);
    openDialog("What it said before", () =>
      h("ol", { className: "revisions", tabIndex: 0 }, items.map(({ text, until }) => {
        const said = h("div", { className: "text" });
        write(said, text);
        return h("li", {}, h("p", { className: "head" }, `Until ${full(until)}`), said);
      })),
    );
  });
}

export function signDialog(choose) {
  openDialog("React", (close) => {
    const input = h("input", { name: "sign", required: true, maxLength: 16, autofocus: true, autocomplete: "off", pattern: "\\S+" });
    const send = (event) => {
      event.preventDefault();
      close();
      choose(input.value);
    };
    return h("form", { on: { submit: send } }, h("label", {}, "An emoji or a short word", input), h("button", { type: "submit" }, "React"));
  });
}
