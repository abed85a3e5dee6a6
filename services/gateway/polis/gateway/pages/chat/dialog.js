// Dialogs: modal, closed by Escape, gone when they are closed; the focus goes back to where it was.

import { button, h } from "./element.js";

let made = 0;

// Shows content under a title; the dialog is given to it as a function that closes it.
export function openDialog(title, content) {
  const id = `dialog-${++made}`;
  const close = () => dialog.close();
  const dialog = h("dialog", { aria: { labelledby: id } },
    h("header", {}, h("h2", { id }, title), h("button", { type: "button", className: "close", aria: { label: "Close" }, on: { click: close } }, "×")),
    content(close),
    h("p", { className: "bad", role: "alert" }),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector("[autofocus]")?.focus();
  return dialog;
}

// Asks before something that cannot be undone.
export function confirmed(title, text, doing) {
  return new Promise((resolve) => {
    const answer = (close, value) => {
      resolve(value);
      close();
    };
    const dialog = openDialog(title, (close) => [
      h("p", {}, text),
      h("p", { className: "row" }, button(doing, () => answer(close, true), { autofocus: true }), button("Cancel", () => answer(close, false))),
    ]);
    dialog.addEventListener("close", () => resolve(false));
  });
}
