import assert from "node:assert/strict";
import { test } from "node:test";

import { Room } from "../../polis/gateway/pages/chat/room.js";
import { MOST, Window } from "../../polis/gateway/pages/chat/window.js";

const said = (seq, fields) => ({ seq, sender_id: "tom", sent_at: "2030-01-01T00:00:00Z", text: `${seq}`, parts: [], reactions: [], ...fields });
const entry = (seq, kind, fields) => ({ kind: "change", seq, data: { seq, entry: { seq, kind, actor_id: "tom", at: "2030-01-01T00:00:00Z", ...fields } } });
const piece = (at, text, state = "open", fields = {}) => ({ kind: "change", seq: 1, data: { stream: { stream_id: "s", producer_id: "sarah", at, text, state, ...fields } } });

function room(messages = [], streams = []) {
  const found = new Room("c", "ada");
  found.take({ kind: "snapshot", seq: 1, data: { conversation: { kind: "group" }, participants: [], messages, streams, handoffs: [] } });
  return found;
}

test("so many messages are held, whichever way one reads", () => {
  const window = new Window();
  const numbers = (from, to) => Array.from({ length: to - from }, (_, n) => said(from + n));
  window.reset(numbers(1000, 1050), { older: true, newer: false });
  for (let first = 1000; first > 200; first -= 40) window.before(numbers(first - 40, first));

  assert.equal(window.items.length, MOST);
  assert.deepEqual([window.first, window.newer], [200, true]);
  window.add({ seq: 2000, message: said(2000) });
  assert.equal(window.message(2000), null);

  for (let last = window.last; last < 1050; last += 50) window.after(numbers(last + 1, last + 51), { newer: true });
  assert.equal(window.items.length, MOST);
  assert.deepEqual([window.older, window.message(200), window.message(window.last).seq], [true, null, window.last]);
});

test("what was read for another place than it is by now leaves no gap", () => {
  const window = new Window();
  window.reset([said(50)], { older: true, newer: true });
  const { first, last } = window;
  window.reset([said(400)], { older: true, newer: false });

  window.before([said(49)], first);
  window.after([said(401)], { newer: true, last });

  assert.deepEqual([window.items.map(({ seq }) => seq), window.newer], [[400], false]);
});

test("what happens to a message is seen in it, once, and nobody who has spoken is typing any more", () => {
  const here = room();
  here.take({ kind: "change", seq: 1, data: { typing: { principal_id: "tom", until: "2999-01-01T00:00:00Z" } } });
  assert.deepEqual(here.typists().ids, ["tom"]);

  here.take(entry(2, "posted", { message: said(2) }));
  here.take(entry(3, "edited", { message: said(2, { text: "two", revision: 2 }) }));
  here.take(entry(4, "edited", { message: said(99) }));

  assert.deepEqual(here.typists().ids, []);
  assert.deepEqual(here.window.items.map(({ message }) => message.text), ["two"]);
});

test("a stream grows piece by piece, in characters, tells what it missed, and gives way to its message", () => {
  const here = room([], [{ stream_id: "s", producer_id: "sarah", at: 0, text: "💡 a", length: 3, state: "open" }]);

  here.take(piece(2, "ab"));
  assert.equal(here.streams.get("s").text, "💡 ab");
  here.take(piece(9, "far"));
  assert.ok(here.behind("s"));
  here.resume({ stream_id: "s", producer_id: "sarah", at: 4, text: "c, d and far", length: 16, state: "paused" });
  assert.deepEqual([here.behind("s"), here.streams.get("s").text, here.streams.get("s").state], [false, "💡 abc, d and far", "paused"]);

  here.take(piece(16, "", "complete", { message_seq: 5 }));
  assert.equal(here.streams.size, 1);
  here.take(entry(5, "posted", { message: said(5, { stream: { id: "s", state: "complete" } }) }));
  assert.equal(here.streams.size, 0);
});
