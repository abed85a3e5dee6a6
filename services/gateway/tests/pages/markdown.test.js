import assert from "node:assert/strict";
import { test } from "node:test";

import { inlines, parse } from "../../polis/gateway/pages/chat/markdown.js";

const LONGEST = 32_768;

test("texts become what they mean", () => {
  assert.deepEqual(inlines("a **b _c_** `d*` ~~e~~ @sarah"), [
    "a ",
    { type: "strong", content: ["b ", { type: "em", content: ["c"] }] },
    " ",
    { type: "code", text: "d*" },
    " ",
    { type: "del", content: ["e"] },
    " ",
    { type: "mention", text: "@sarah" },
  ]);
  assert.deepEqual(
    parse("# T #\n- a\n  - b\n\n3. c\n> q\n\n```js\n*x*\n```\n| a | b |\n|---|---|\n| 1 |").map(({ type }) => type),
    ["h", "ul", "ol", "quote", "pre", "table"],
  );
  assert.deepEqual(inlines("2 * 3 * 4 snake_case_word a@b.c <b>"), ["2 * 3 * 4 snake_case_word a@b.c <b>"]);
});

test("links lead to the web and to mail alone, and images are links", () => {
  const href = (text) => inlines(text).find((node) => node.type === "a")?.href;
  assert.equal(href("[x](https://e.org/a_(b))"), "https://e.org/a_(b)");
  assert.equal(href("see https://e.org/a."), "https://e.org/a");
  assert.equal(href("![x](https://e.org/a.png)"), "https://e.org/a.png");
  for (const bad of ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "//e.org", "/session", "https://", "file:///etc"]) {
    assert.equal(href(`[x](${bad})`), undefined, bad);
    assert.equal(href(`<${bad}>`), undefined, bad);
  }
});

test("no text of the longest that there are takes long or nests deep", () => {
  const depth = (node) => (typeof node === "object" && node ? 1 + Math.max(0, ...Object.values(node).flat(2).slice(0, 50).map(depth)) : 0);
  const pieces = ["*a ", "a* ", "[", "[a](", "](", "`a``", "> ", "- ", "- - ", "_*~", "|", "|-", "\n", "- a\n", " - a\n  ", "**", "http://a)", "<http:", "# ", "\\", "@a"];
  for (const piece of pieces) {
    const text = piece.repeat(LONGEST / piece.length);
    const before = process.cpuUsage();
    const tree = parse(text);
    assert.ok(process.cpuUsage(before).user < 1_000_000, piece);
    assert.ok(depth(tree) < 120, piece);
  }
});
