import assert from "node:assert/strict";
import { test } from "node:test";

import { Asks } from "../../polis/gateway/pages/chat/asks.js";

// As much of a page as a card needs.
class Element {
  children = [];
  dataset = {};

  append(...children) {
    this.children.push(...children);
  }

  replaceChildren(...children) {
    this.children = children;
  }

  setAttribute() {}

  contains() {
    return false;
  }

  get textContent() {
    return this.children.map((child) => child.textContent ?? child).join("");
  }
}

test("a card shows how its ask stands by now, whichever answer comes last", async (t) => {
  const shown = [];
  Object.assign(globalThis, { CSS: { escape: String }, document: { createElement: () => new Element(), querySelectorAll: () => shown } });
  t.after(() => ["CSS", "document"].forEach((name) => delete globalThis[name]));
  const asked = [];
  const call = () => new Promise((resolve, reject) => asked.push({ resolve, reject }));
  const asks = new Asks({ polis: { call } });
  const card = asks.card({ title: "May I?", content: { ask_id: "a" } });
  shown.push(card);
  const [first] = asked;

  const later = asks.refresh("a");
  asked[1].resolve({ ask: { state: "answered" }, answer: null });
  await later;
  first.reject(Object.assign(new Error("not yours"), { status: 404 }));
  await new Promise(setImmediate);

  assert.equal(card.textContent, "This has been answered.");
});
