// A tree of markdown.js as elements.

import { h } from "./element.js";
import { parse } from "./markdown.js";

// Writes a text into an element, block by block: blocks that say what they said stay as they are, so a text that grows costs
// what it grew by, and what somebody has marked in it stays marked.
export function write(element, text) {
  const before = (element.written ??= []);
  const now = parse(text);
  now.forEach((block, n) => {
    const key = JSON.stringify(block);
    if (before[n] === key) return;
    const drawn = blockOf(block);
    if (element.children[n]) element.children[n].replaceWith(drawn);
    else element.append(drawn);
    before[n] = key;
  });
  while (element.children.length > now.length) element.lastElementChild.remove();
  before.length = now.length;
}

// What somebody wrote from right to left is shown so, block by block.
const OWN = { dir: "auto" };

const BLOCKS = {
  p: ({ content }) => h("p", OWN, contents(content)),
  // The page has headings of its own; those of a message are none of its outline.
  h: ({ level, content }) => h("p", { ...OWN, className: "heading", data: { level } }, contents(content)),
  quote: ({ blocks }) => h("blockquote", OWN, blocks.map(blockOf)),
  ul: ({ items }) => h("ul", OWN, items.map(itemOf)),
  ol: ({ start, items }) => h("ol", { ...OWN, start }, items.map(itemOf)),
  pre: ({ text }) => h("pre", { tabIndex: 0 }, h("code", {}, text)),
  hr: () => h("hr"),
  table: ({ head, rows }) =>
    h("div", { className: "table", tabIndex: 0, role: "group", aria: { label: "Table" } },
      h("table", {},
        h("thead", {}, h("tr", {}, head.map((cell) => h("th", { ...OWN, scope: "col" }, contents(cell))))),
        h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", OWN, contents(cell)))))),
      ),
    ),
};

const INLINES = {
  em: ({ content }) => h("em", {}, contents(content)),
  strong: ({ content }) => h("strong", {}, contents(content)),
  del: ({ content }) => h("del", {}, contents(content)),
  code: ({ text }) => h("code", {}, text),
  mention: ({ text }) => h("span", { className: "mention" }, text),
  br: () => h("br"),
  a: ({ href, content }) => h("a", { href, title: href, target: "_blank", rel: "noopener noreferrer nofollow ugc" }, contents(content)),
};

const blockOf = (block) => BLOCKS[block.type](block);

function itemOf(blocks) {
  const [first, ...rest] = blocks;
  if (first?.type !== "p") return h("li", {}, blocks.map(blockOf));
  return h("li", {}, contents(first.content), rest.map(blockOf));
}

function contents(nodes) {
  return nodes.map((node) => (typeof node === "string" ? node : INLINES[node.type](node)));
}
