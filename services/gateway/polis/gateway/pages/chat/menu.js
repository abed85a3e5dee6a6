// One menu for all: a popover by what opened it. The browser gives the focus back to where it was.

import { at, h } from "./element.js";

const EDGE_PX = 8;

// items: {text, act, label?, inline?}; inline ones stand side by side.
export function openMenu(anchor, items) {
  if (!items.length) return;
  const menu = at("menu");
  const entries = items.map(({ text, act, label, inline }) =>
    h("button", { type: "button", role: "menuitem", tabIndex: -1, className: inline ? "inline" : "", aria: { label }, on: { click: () => choose(act) } }, text),
  );
  menu.replaceChildren(...entries);
  menu.onkeydown = (event) => key(event, entries);
  menu.showPopover();
  place(menu, anchor.getBoundingClientRect());
  entries[0]?.focus();
}

function choose(act) {
  at("menu").hidePopover();
  act();
}

function key(event, entries) {
  const place = entries.indexOf(document.activeElement);
  const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };
  let next = null;
  if (event.key in steps) next = (place + steps[event.key] + entries.length) % entries.length;
  else if (event.key === "Home") next = 0;
  else if (event.key === "End") next = entries.length - 1;
  else if (event.key === "Tab") at("menu").hidePopover();
  if (next === null) return;
  event.preventDefault();
  entries[next].focus();
}

function place(menu, box) {
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = box.bottom + height + EDGE_PX < innerHeight;
  menu.style.left = `${Math.max(EDGE_PX, Math.min(box.right - width, innerWidth - width - EDGE_PX))}px`;
  menu.style.top = `${Math.max(EDGE_PX, below ? box.bottom : Math.min(box.top, innerHeight - EDGE_PX) - height)}px`;
}
