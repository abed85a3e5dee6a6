import assert from "node:assert/strict";
import { test } from "node:test";

import { Polis, Problem } from "../src/index.js";

const CONVERSATION = "conversation/c";

// A gateway whose sockets do as each of these functions says; each hears {say, frame, end} of its socket for every frame that comes.
function gateway(...sockets) {
  const heard = [];
  let leave;
  const left = new Promise((resolve) => (leave = resolve));
  const dial = (url, headers, told) => {
    const answers = sockets.shift();
    const at = heard.push([]) - 1;
    const say = (frame) => setImmediate(() => told.heard(JSON.stringify(frame)));
    const end = (code, why) => setImmediate(() => told.closed(code, undefined, why));
    setImmediate(told.opened);
    const send = (text) => {
      const frame = JSON.parse(text);
      heard[at].push(frame);
      answers({ frame, say, end });
    };
    return { send, close: leave };
  };
  return { heard, left, dial, polis: new Polis({ url: "http://gateway.example", token: "secret", dial }) };
}

const entries = (...numbers) => numbers.map((seq) => ({ seq, kind: "posted" }));
const snapshot = (topic, seq, behind = []) => ({ op: "snapshot", topic, seq, data: { seq, entries: behind, transitions: behind, recovered: true } });
const told = (topic, ...numbers) => ({ op: "events", topic, seq: numbers.at(-1), data: numbers.map((seq) => ({ seq, entry: { seq } })) });

test("topics and calls share one socket; after a cut each goes on behind its own last number, and a message is posted once more under its id", async () => {
  const { heard, polis } = gateway(
    ({ frame, say, end }) => {
      if (frame.op === "subscribe") say(snapshot(frame.topic, 2));
      if (frame.topic === CONVERSATION) say(told(frame.topic, 3));
      if (frame.op === "call") end(1012);
    },
    ({ frame, say }) => {
      if (frame.op === "subscribe") say(snapshot(frame.topic, frame.after, frame.topic === CONVERSATION ? entries(4) : []));
      if (frame.topic === "run/r") say({ op: "end", topic: frame.topic, seq: 2 });
      if (frame.op === "call") say({ op: "ack", id: frame.id, data: { seq: 4 } });
    },
  );
  const run = (async () => {
    for await (const { kind, seq } of polis.follow("run/r")) assert.equal(`${kind} ${seq}`, "snapshot 2");
  })();
  const seen = [];
  let posted = null;
  for await (const { kind, seq } of polis.follow(CONVERSATION)) {
    seen.push(`${kind} ${seq}`);
    if (seq === 3) posted = polis.post("c", "hello");
    if (seq === 4) break;
  }

  assert.deepEqual(seen, ["snapshot 2", "change 3", "change 4"]);
  assert.deepEqual(await posted, { seq: 4 });
  await run;
  polis.close();
  assert.equal(heard.length, 2);
  const after = Object.fromEntries(heard[1].filter(({ op }) => op === "subscribe").map(({ topic, after }) => [topic, after]));
  assert.deepEqual(after, { [CONVERSATION]: 3, "run/r": 2 });
  const calls = heard.flat().filter(({ op }) => op === "call");
  assert.equal(calls.length, 2);
  assert.equal(calls[0].request.client_id, calls[1].request.client_id);
});

test("a refusal of one call is its own, and what may not be said twice is not", async () => {
  const { heard, polis } = gateway(({ frame, say, end }) => {
    if (frame.name === "SignalRun") say({ op: "problem", id: frame.id, problem: { type: "/problems/runtime/run-ended", status: 409 } });
    if (frame.name === "SayTyping") end(1006);
  });

  await assert.rejects(polis.signal("r", "paid"), (error) => error instanceof Problem && error.status === 409);
  await assert.rejects(polis.typing("c"), ({ status, cause }) => status === 0 && /closed with 1006/.test(cause.message));
  assert.equal(heard.flat().length, 2);
  await assert.rejects(polis.say("StartRun", {}), /use call/);
});

test("a call that was given up while it waited for its turn is not sent, and the next one has the turn", async () => {
  const held = [];
  let prompt = false;
  const { heard, polis } = gateway(({ frame, say }) => {
    const answer = () => say({ op: "ack", id: frame.id, data: null });
    if (prompt) answer();
    else held.push(answer);
  });
  const given = new AbortController();
  const said = Array.from({ length: 32 }, (_, n) => polis.typing(`c${n}`));
  const late = assert.rejects(polis.say("SayTyping", { conversation_id: "late" }, { signal: given.signal }), { name: "AbortError" });
  said.push(polis.typing("last"));
  while (held.length < 32) await new Promise(setImmediate);

  given.abort();
  prompt = true;
  for (const answer of held) answer();

  await late;
  await Promise.all(said);
  polis.close();
  assert.deepEqual(
    heard.flat().map(({ request }) => request.conversation_id).slice(31),
    ["c31", "last"],
  );
});

test("what the gateway does not understand is told as it says, and not tried again", async () => {
  const { heard, polis } = gateway(({ end }) => end(4400, "Expected `array`, got `str` - at `$.kinds`"));

  await assert.rejects(polis.follow(CONVERSATION, { kinds: "posted" }).next(), /does not understand this client: Expected `array`, got `str`/);
  assert.equal(heard.length, 1);
});

test("what was not asked for moves the number to come back with, and is no gap", async () => {
  const { heard, polis } = gateway(
    ({ frame, say, end }) => {
      if (frame.op !== "subscribe") return;
      say(snapshot(frame.topic, 2));
      say(told(frame.topic, 7));
      say({ op: "events", topic: frame.topic, seq: 90, data: [] });
      end(1012);
    },
    ({ frame, say }) => frame.op === "subscribe" && say(snapshot(frame.topic, 91, entries(91))),
  );
  const seen = [];
  for await (const { seq } of polis.follow(CONVERSATION, { kinds: ["posted"] })) {
    seen.push(seq);
    if (seq === 91) break;
  }
  polis.close();

  assert.deepEqual(seen, [2, 7, 91]);
  assert.deepEqual(
    heard.map(([{ after, kinds }]) => [after, kinds]),
    [[undefined, ["posted"]], [90, ["posted"]]],
  );
});

test("a socket of which nothing is wanted is left soon, whatever was still on its way", async () => {
  const { heard, left, polis } = gateway(({ frame, say }) => {
    if (frame.op === "subscribe") say(snapshot(frame.topic, 2));
    if (frame.op === "unsubscribe") say(told(frame.topic, 3));
  });

  for await (const { seq } of polis.follow("run/r")) if (seq === 2) break;
  await left;

  // Before it was silent for so long that it would have been asked whether it is still there.
  assert.deepEqual(
    heard[0].map(({ op }) => op),
    ["subscribe", "unsubscribe"],
  );
});

test("who gives up does not wait until a gateway that says nothing is given up", async () => {
  let [closed, hangUp] = [false, null];
  const dial = (url, headers, told) => {
    hangUp = () => told.closed(1006);
    return { send() {}, close: () => (closed = true) };
  };
  const polis = new Polis({ url: "http://gateway.example", token: "secret", dial });
  const stop = new AbortController();

  const next = polis.follow("asks", { signal: stop.signal }).next();
  setImmediate(() => stop.abort(new Error("enough")));

  await assert.rejects(next, /enough/);
  assert.equal(closed, false);
  hangUp();
});

test("a socket that ended while its session was asked about takes none with it that was opened since", async (t) => {
  globalThis.document = {};
  t.after(() => delete globalThis.document);
  const { heard, left, dial } = gateway(
    ({ frame, say, end }) => {
      if (frame.op === "subscribe") say(snapshot(frame.topic, 1));
      if (frame.op === "subscribe") end(4401);
    },
    ({ frame, say }) => {
      if (frame.op === "subscribe") say(snapshot(frame.topic, 1));
    },
  );
  const stop = new AbortController();
  let tell;
  const session = new Promise((resolve) => (tell = () => resolve(new Response("{}"))));
  const fetch = () => (stop.abort(new Error("enough")), session);
  const polis = new Polis({ url: "http://gateway.example", dial, fetch });

  const changes = polis.follow("asks", { signal: stop.signal });
  await changes.next();
  await assert.rejects(changes.next(), /enough/);
  await left;
  const states = [];
  const others = polis.follow("presence", { state: (state) => states.push(state) });
  await others.next();
  const next = others.next();
  tell();
  await session;
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
  polis.close();
  await assert.rejects(next, /was closed/);

  assert.deepEqual(states, ["live"]);
  assert.equal(heard.length, 2);
});

test("a page with a token opens each socket by a ticket of its own, and is told when it gets none", async (t) => {
  const asked = [];
  const opened = [];
  const answers = [[200, { ticket: "g.one" }], [200, { ticket: "g.two" }], [401, { type: "/problems/unauthenticated", status: 401 }]];
  class Socket {
    constructor(url, protocols) {
      opened.push([url, protocols.at(-1)]);
      setImmediate(() => this.onopen());
    }

    send(text) {
      const { op, topic } = JSON.parse(text);
      if (op !== "subscribe") return;
      setImmediate(() => this.onmessage({ data: JSON.stringify(snapshot(topic, 1)) }));
      setImmediate(() => this.onclose({ code: opened.length === 1 ? 1012 : 4401 }));
    }

    close() {}
  }
  const fetch = async (url, { method, headers }) => {
    asked.push([method, url, headers.authorization]);
    const [status, body] = answers.shift();
    return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
  };
  const before = { fetch: globalThis.fetch, WebSocket: globalThis.WebSocket, document: globalThis.document };
  Object.assign(globalThis, { fetch, WebSocket: Socket, document: {} });
  t.after(() => Object.assign(globalThis, before));
  const polis = new Polis({ url: "http://gateway.example", token: "secret" });
  const seen = [];

  const following = (async () => {
    for await (const { kind } of polis.follow("asks")) seen.push(kind);
  })();

  await assert.rejects(following, (error) => error instanceof Problem && error.status === 401);
  assert.deepEqual(seen, ["snapshot", "snapshot"]);
  const live = "ws://gateway.example/api/v1/live";
  assert.deepEqual(opened, [[live, "polis.ticket.g.one"], [live, "polis.ticket.g.two"]]);
  assert.deepEqual(new Set(asked.map(String)), new Set(["POST,http://gateway.example/api/v1/live/tickets,Bearer secret"]));
});
