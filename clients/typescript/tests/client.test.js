import assert from "node:assert/strict";
import { test } from "node:test";

import { Polis, Problem } from "../src/index.js";

const url = "http://gateway.example";
const run = (seq, transitions, recovered = true) => ({ run: {}, seq, steps: [], transitions, recovered });
const at = (...numbers) => numbers.map((seq) => ({ seq, state: "läuft" }));
const event = (name, seq, data) => `id: ${seq}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

// A gateway that gives these answers in turn, and remembers what it was asked. Bodies come byte by byte.
function gateway(...answers) {
  return gatewayOf({ token: "secret" }, ...answers);
}

function gatewayOf(options, ...answers) {
  const asked = [];
  const fetch = async (address, init) => {
    asked.push({ address, headers: init.headers, body: init.body });
    const { status = 200, text = "", lost } = answers.shift();
    if (lost) throw new TypeError("fetch failed");
    const bytes = new TextEncoder().encode(text);
    const body = new ReadableStream({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    return new Response(status === 204 ? null : body, { status });
  };
  return { asked, polis: new Polis({ url, fetch, ...options }) };
}

// What a gateway is to a caller that was not reached.
const away = (error) => error instanceof Problem && error.status === 0 && error.cause instanceof TypeError;

async function all(changes) {
  const found = [];
  for await (const { kind, seq } of changes) found.push(`${kind} ${seq}`);
  return found;
}

test("what was told twice is given once, and a gap is read again behind the last", async () => {
  const { asked, polis } = gateway(
    { text: event("snapshot", 2, run(2, at(1, 2))) + event("transition", 2, at(2)[0]) + event("transition", 5, at(5)[0]) },
    { text: event("snapshot", 5, run(5, at(3, 4, 5))) + ": still here\n\n" + event("end", 5, {}) },
  );

  assert.deepEqual(await all(polis.follow("run/a", { after: 0 })), [1, 2, 3, 4, 5].map((n) => `change ${n}`));
  assert.deepEqual(
    asked.map(({ address }) => new URL(address).searchParams.get("after")),
    ["0", "2"],
  );
});

test("where what was missed cannot be told, a snapshot comes again", async () => {
  const { polis } = gateway(
    { text: event("snapshot", 3, run(3, [])) + event("transition", 4, at(4)[0]) },
    { text: event("snapshot", 90, run(90, [], false)) + event("transition", 91, at(91)[0]) + event("end", 91, {}) },
  );

  const states = [];

  const changes = polis.follow("run/a", { state: (state) => states.push(state) });

  assert.deepEqual(await all(changes), ["snapshot 3", "change 4", "snapshot 90", "change 91"]);
  assert.deepEqual(states, ["live", "lost", "live"]);
});

test("lines of a run's log are given wherever they come, and are no transitions", async () => {
  const { polis } = gateway({
    text:
      event("snapshot", 2, run(2, at(1, 2))) +
      event("log", 2, { seq: 2, log: { number: 1 } }) +
      event("transition", 3, at(3)[0]) +
      event("log", 3, { seq: 3, log: { number: 2 } }) +
      event("end", 3, {}),
  });

  assert.deepEqual(await all(polis.follow("run/a", { after: 0 })), [1, 2, 2, 3, 3].map((n) => `change ${n}`));
});

test("a gateway that is away is tried again, one that refuses is believed; no address holds the token", async () => {
  const { asked, polis } = gateway({ lost: true }, { status: 503, text: "<html>" }, { status: 403, text: '{"type": "/problems/forbidden"}' });

  await assert.rejects(all(polis.follow("asks")), (error) => error instanceof Problem && error.type === "/problems/forbidden");
  assert.equal(asked.length, 3);
  assert.ok(asked.every(({ address, headers }) => !address.includes("secret") && headers.authorization === "Bearer secret"));
});

test("attempts in vain come to an end, and a signal ends it before", async () => {
  const { asked, polis } = gateway({ lost: true }, { lost: true });
  await assert.rejects(all(polis.follow("asks", { attempts: 2 })), away);
  assert.equal(asked.length, 2);

  const { polis: other } = gateway({ text: event("snapshot", 1, {}) });
  const stop = new AbortController();
  const changes = other.follow("asks", { signal: stop.signal });
  await changes.next();
  stop.abort(new Error("enough"));
  await assert.rejects(changes.next(), /enough/);

  const { asked: never, polis: late } = gateway({ text: event("end", 1, {}) });
  await assert.rejects(all(late.follow("asks", { signal: stop.signal })), /enough/);
  assert.equal(never.length, 0);
});

test("a call is sent again under its key, and never without one", async () => {
  const { asked, polis } = gateway({ lost: true }, { status: 409, text: '{"type": "/problems/in-flight"}' }, { text: '{"id": "a"}' });
  assert.deepEqual(await polis.call("StartRun", { graph: "a" }), { id: "a" });
  assert.equal(asked.length, 3);
  assert.equal(new Set(asked.map(({ headers }) => headers["idempotency-key"])).size, 1);

  const { asked: once, polis: other } = gateway({ lost: true });
  await assert.rejects(other.call("SignOut"), away);
  assert.equal(once.length, 1);
  const { asked: often, polis: patient } = gatewayOf({ token: "secret", retries: 1 }, { lost: true }, { lost: true });
  await assert.rejects(patient.call("GetMe"), away);
  assert.equal(often.length, 2);
});

test("fields stand where the contract says", async () => {
  const { asked, polis } = gateway({ text: "{}" }, { text: "{}" }, { status: 204 });
  await polis.call("ListRuns", { limit: 3, agent: null, tag: "a b" });
  await polis.call("GetAgent", { agent: "../me" });
  await polis.call("RemoveMember", { principal_id: "p" });

  assert.deepEqual(
    asked.map(({ address }) => address.slice(url.length)),
    ["/api/v1/runs?limit=3&tag=a+b", "/api/v1/agents/..%2Fme", "/api/v1/members/p"],
  );
  await assert.rejects(polis.call("GetRun"), /run_id/);
  await assert.rejects(polis.call("GetAgent", { agent: ".." }), /takes no agent/);
  await assert.rejects(polis.call("toString"), /no operation/);
});

test("a page's session is renewed once for all calls that find it expired, and its CSRF token goes along", async (t) => {
  globalThis.document = {};
  t.after(() => delete globalThis.document);
  const expired = { status: 401, text: '{"type": "/problems/unauthenticated"}' };
  const { asked, polis } = gatewayOf({}, expired, expired, expired, { text: '{"csrf_token": "c"}' }, { text: "{}" }, { text: "{}" });

  await Promise.all([polis.call("StartRun", { graph: "a" }), polis.call("StartRun", { graph: "b" })]);

  assert.deepEqual(
    asked.map(({ address }) => address.slice(url.length + 7)),
    ["/runs", "/runs", "/session", "/session/refresh", "/runs", "/runs"],
  );
  assert.equal(asked.at(-1).headers["x-csrf-token"], "c");
});

test("a token that is refused is asked for anew", async () => {
  const wanted = [];
  const token = ({ renew }) => (wanted.push(renew), renew ? "new" : "old");
  const { asked, polis } = gatewayOf({ token }, { status: 401, text: '{"type": "/problems/unauthenticated"}' }, { text: "{}" });

  await polis.call("GetMe");

  assert.deepEqual(wanted, [false, true]);
  assert.equal(asked.at(-1).headers.authorization, "Bearer new");
});
