import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";

import { Polis } from "../src/index.js";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

// Where a gateway is whose connections are these, each told what came first.
async function gateway(t, met) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.once("data", (head) => met(socket, head.toString()));
    t.after(() => socket.destroy());
  });
  t.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${server.address().port}`;
}

test("a refusal that is cut off is a cut, and ends no process", async (t) => {
  const url = await gateway(t, (socket) => {
    socket.write('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\n{', () => socket.destroy());
  });
  const polis = new Polis({ url, token: "secret" });

  await assert.rejects(polis.follow("asks", { attempts: 2 }).next(), ({ status }) => status === 0);
});

test("a process ends where the gateway says nothing any more", { timeout: 120_000 }, async (t) => {
  const snapshot = JSON.stringify({ op: "snapshot", topic: "asks", seq: 1, data: {} });
  const url = await gateway(t, (socket, head) => {
    const key = /sec-websocket-key: (.*)\r\n/i.exec(head)[1];
    const accept = createHash("sha1").update(key + GUID).digest("base64");
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    socket.once("data", () => socket.pause().write(Buffer.concat([Buffer.of(0x81, snapshot.length), Buffer.from(snapshot)])));
  });
  const program = `
    import { Polis } from ${JSON.stringify(new URL("../src/index.js", import.meta.url))};
    const polis = new Polis({ url: ${JSON.stringify(url)}, token: "secret" });
    for await (const { kind } of polis.follow("asks")) if (kind === "snapshot") break;
    polis.close();
  `;

  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], { stdio: "inherit" });
  t.after(() => child.kill("SIGKILL"));

  assert.deepEqual(await once(child, "exit"), [0, null]);
});
