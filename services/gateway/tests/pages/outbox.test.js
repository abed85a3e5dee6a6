import assert from "node:assert/strict";
import { test } from "node:test";

import { Outbox } from "../../polis/gateway/pages/chat/outbox.js";

// What a browser keeps, without a browser.
function shelf(entries = []) {
  const kept = new Map(entries);
  return { kept, get: (name) => kept.get(name), set: (name, value) => kept.set(name, value), drop: (name) => kept.delete(name), names: (start) => [...kept.keys()].filter((name) => name.startsWith(start)) };
}

const turn = () => new Promise((done) => setImmediate(done));
const written = (text) => ({ conversation_id: "c", text, parts: [] });

test("what could not be sent is sent again under the same id, in its order, by this page or the next", async () => {
  const browser = shelf();
  const sent = [];
  let away = true;
  const post = async ({ client_id: id, text }) => {
    sent.push([id, text]);
    if (away) throw new TypeError("failed to fetch");
    return { seq: sent.length };
  };
  const before = new Outbox(browser, post, () => {});
  before.add(written("one"));
  before.add(written("two"));
  await turn();
  assert.deepEqual(before.of("c").map(({ state }) => state), ["waiting", "waiting"]);

  away = false;
  const after = new Outbox(browser, post, () => {});
  after.run();
  await turn();

  assert.deepEqual(sent.map(([, text]) => text), ["one", "one", "two"]);
  assert.equal(sent[0][0], sent[1][0]);
  assert.equal(browser.kept.size, 0);
  after.settle("c", 3);
  assert.deepEqual(after.of("c"), []);
  before.drop(sent[0][0]);
  before.drop(before.of("c")[0].client_id);
});

test("what is refused is kept with its reason, and holds up nothing behind it", async () => {
  const browser = shelf();
  const post = async ({ text }) => {
    if (text === "bad") throw Object.assign(new Error("You are muted."), { status: 409, type: "/problems/messaging/muted-in-conversation" });
    return { seq: 7 };
  };
  const outbox = new Outbox(browser, post, () => {});
  const bad = outbox.add(written("bad"));
  outbox.add(written("good"));
  await turn();

  assert.deepEqual(outbox.of("c").map(({ state, why }) => [state, why]), [["failed", "You are muted."], ["sent", undefined]]);
  assert.equal(outbox.drop(bad.client_id).text, "bad");
  assert.equal(browser.kept.size, 0);
});

test("what was shown before its answer was given up holds up nothing behind it", async () => {
  const browser = shelf();
  const sent = [];
  const post = async ({ client_id: id, text }) => {
    sent.push(text);
    if (text === "two") return { seq: 8 };
    outbox.drop(id);
    throw new TypeError("failed to fetch");
  };
  const outbox = new Outbox(browser, post, () => {});

  outbox.add(written("one"));
  outbox.add(written("two"));
  await turn();

  assert.deepEqual(sent, ["one", "two"]);
  assert.equal(browser.kept.size, 0);
});
