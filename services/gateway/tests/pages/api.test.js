import assert from "node:assert/strict";
import { test } from "node:test";

import { follow } from "../../polis/gateway/pages/api.js";

test("who has left a topic hears nothing more of it, not even behind a cut", async (t) => {
  const sockets = [];
  class Socket {
    constructor() {
      sockets.push(this);
    }

    close() {}
  }
  let renewed;
  const asked = new Promise((resolve) => (renewed = resolve));
  const fetch = async () => (renewed(), new Response('{"csrf_token": "c"}'));
  const before = { fetch: globalThis.fetch, WebSocket: globalThis.WebSocket, location: globalThis.location };
  Object.assign(globalThis, { fetch, WebSocket: Socket, location: { protocol: "http:", host: "gateway.example" } });
  t.after(() => Object.assign(globalThis, before));
  const told = [];
  const callbacks = { snapshot: (data) => told.push(data), events() {}, end() {}, problem() {} };
  const stop = follow("run/r", callbacks);
  const say = (data) => sockets[0].onmessage({ data: JSON.stringify({ op: "snapshot", seq: data, data }) });

  say(1);
  sockets[0].onclose();
  stop();
  say(2);
  await asked;
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);

  assert.deepEqual(told, [1]);
  assert.equal(sockets.length, 1);
});
