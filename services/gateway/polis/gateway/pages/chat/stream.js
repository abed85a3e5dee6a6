// What is being said: its text grows in place, and whoever may speak may hold or stop it.

import { button, h } from "./element.js";
import { write } from "./rendered.js";

const STATES = { open: "is answering…", paused: "is paused" };

export function drawStream({ stream, name, controls }, element, act) {
  const { stream_id: id, state, text } = stream;
  if (!element.classList.contains("stream")) begin(element);
  const { head, body, buttons } = element.parts;
  head.replaceChildren(h("strong", {}, name), " ", h("span", { className: "doing" }, STATES[state] ?? ""));
  write(body, text);
  const wanted = controls ? state : "";
  if (buttons.dataset.state === wanted) return;
  buttons.dataset.state = wanted;
  const focused = buttons.contains(document.activeElement);
  const pausing = state === "paused" ? button("Go on", () => act.control(id, "resume")) : button("Pause", () => act.control(id, "pause"));
  buttons.replaceChildren(...(controls ? [button("Stop", () => act.control(id, "preempt")), pausing] : []));
  if (focused) buttons.lastElementChild?.focus();
}

function begin(element) {
  element.className = "message agent stream";
  element.tabIndex = -1;
  element.parts = { head: h("p", { className: "head" }), body: h("div", { className: "text", aria: { busy: "true" } }), buttons: h("p", { className: "row" }) };
  const { head, body, buttons } = element.parts;
  element.replaceChildren(h("div", { className: "body" }, head, body, buttons));
}
