// Structured parts of a message: cards and forms, shown as what they hold.

import { h } from "./element.js";

const MOST_LINES = 50;

export function cardOf(part) {
  const { title, content } = part;
  const heading = title || content?.title || (part.kind === "form" ? "Form" : "Card");
  return h("section", { className: "card", aria: { label: String(heading) } }, h("p", { className: "heading", dir: "auto" }, String(heading)), shown(content ?? {}));
}

// What is known by its name is shown as such; the rest as names and values.
function shown({ title: _, text, lines, ...rest }) {
  return [
    typeof text === "string" ? h("p", { dir: "auto" }, text) : null,
    Array.isArray(lines) ? h("ul", { dir: "auto" }, lines.slice(0, MOST_LINES).map((line) => h("li", {}, plain(line)))) : null,
    Object.keys(rest).length ? h("dl", {}, Object.entries(rest).slice(0, MOST_LINES).flatMap(([name, value]) => [h("dt", {}, name), h("dd", { dir: "auto" }, plain(value))])) : null,
  ];
}

const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));
