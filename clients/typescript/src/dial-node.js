import { createHash, randomBytes } from "node:crypto";
import { request } from "node:http";
import { request as requestSecurely } from "node:https";

import { Problem } from "./problem.js";

// A WebSocket (RFC 6455) with headers of its own, which those of Node 22 and of browsers do not take and Node 20 has none of.
const TEXT = 0x1;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const CUT = 1006;
const MOST_BYTES = 16 * 1024 * 1024;
// A gateway that says nothing any more does not end its side: a process would stay for as long.
const PARTING_MS = 2_000;

export function dial(url, headers, { opened, heard, closed }) {
  const key = randomBytes(16).toString("base64");
  const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": key };
  const { protocol } = new URL(url);
  const open = protocol === "wss:" ? requestSecurely : request;
  const asked = open(url.replace(/^ws/, "http"), { headers: { ...headers, ...upgrade } });
  let socket = null;
  let over = false;
  const end = (code, problem, why) => {
    if (over) return;
    over = true;
    socket?.destroy();
    closed(code, problem, why);
  };
  const send = (opcode, payload) => void (!over && socket?.write(frame(opcode, payload)));
  asked.on("error", () => end(CUT));
  asked.on("response", async (answer) => end(CUT, await refusal(answer)));
  asked.on("upgrade", (answer, connection, rest) => {
    socket = connection;
    if (over) return socket.destroy();
    if (answer.headers["sec-websocket-accept"] !== createHash("sha1").update(key + GUID).digest("base64")) return end(CUT);
    socket.setNoDelay(true);
    const read = reader((opcode, payload) => {
      if (opcode === PING) send(PONG, payload);
      else if (opcode === CLOSE) end(payload.length > 1 ? payload.readUInt16BE(0) : 1005, undefined, payload.toString("utf8", 2));
      else if (opcode === TEXT) heard(payload.toString());
    });
    const take = (bytes) => over || read(bytes) || end(1009);
    socket.on("data", take);
    socket.on("error", () => end(CUT));
    socket.on("close", () => end(CUT));
    opened();
    if (rest.length) take(rest);
  });
  asked.end();
  return {
    send: (text) => send(TEXT, Buffer.from(text)),
    close() {
      if (socket) send(CLOSE, Buffer.from([0x03, 0xe8]));
      over = true;
      socket?.end();
      setTimeout(() => socket?.destroy(), PARTING_MS).unref();
      if (!socket) asked.destroy();
    },
  };
}

// Undefined where it was cut off.
async function refusal(answer) {
  const parts = [];
  try {
    for await (const part of answer) parts.push(part);
    return await Problem.of(new Response(Buffer.concat(parts), { status: answer.statusCode, headers: plain(answer.headers) }));
  } catch {
    return undefined;
  }
}

function plain(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => typeof value === "string"));
}

// What a client says is masked (RFC 6455 5.3).
function frame(opcode, payload) {
  const size = payload.length;
  const long = size < 126 ? 0 : size < 65536 ? 2 : 8;
  const bytes = Buffer.allocUnsafe(6 + long + size);
  bytes[0] = 0x80 | opcode;
  bytes[1] = 0x80 | (long === 0 ? size : long === 2 ? 126 : 127);
  if (long === 2) bytes.writeUInt16BE(size, 2);
  if (long === 8) bytes.writeBigUInt64BE(BigInt(size), 2);
  const mask = randomBytes(4);
  mask.copy(bytes, 2 + long);
  for (let at = 0; at < size; at++) bytes[6 + long + at] = payload[at] ^ mask[at & 3];
  return bytes;
}

// Takes bytes as they come and gives whole messages; false when one is too large.
function reader(told) {
  let held = Buffer.alloc(0);
  let parts = [];
  let kind = 0;
  let total = 0;
  return (bytes) => {
    held = held.length ? Buffer.concat([held, bytes]) : bytes;
    for (;;) {
      if (held.length < 2) return true;
      const coded = held[1] & 0x7f;
      const start = coded < 126 ? 2 : coded === 126 ? 4 : 10;
      if (held.length < start) return true;
      const size = coded < 126 ? coded : coded === 126 ? held.readUInt16BE(2) : Number(held.readBigUInt64BE(2));
      if (size + total > MOST_BYTES) return false;
      if (held.length < start + size) return true;
      const final = held[0] & 0x80;
      const opcode = held[0] & 0x0f;
      const payload = held.subarray(start, start + size);
      held = held.subarray(start + size);
      if (opcode >= CLOSE) {
        told(opcode, payload);
        continue;
      }
      kind = opcode || kind;
      parts.push(payload);
      total += size;
      if (!final) continue;
      const whole = parts.length === 1 ? payload : Buffer.concat(parts);
      parts = [];
      total = 0;
      told(kind, whole);
    }
  };
}
