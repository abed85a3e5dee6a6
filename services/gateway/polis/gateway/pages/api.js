// Calls of the public API with the browser's cookies; a refusal is thrown as its problem.

const RACED_MS = 300;

let csrf = "";
let renewAt = 0;

export class Refused extends Error {
  constructor(problem) {
    super(problem.detail || problem.title || "The request was refused.");
    this.problem = problem;
  }
}

export async function call(method, path, body, headers = {}) {
  if (renewAt && Date.now() > renewAt) await renew();
  try {
    return await send(method, path, body, headers);
  } catch (error) {
    await recover(error);
    return send(method, path, body, headers);
  }
}

// What another tab or the time has done to this tab's session is made good; any other error is thrown on.
async function recover(error) {
  const { type, scope } = error instanceof Refused ? error.problem : {};
  if (type === "/problems/forbidden" && scope === "csrf") keep(await send("GET", "/session"));
  else if (type === "/problems/unauthenticated" && csrf) await renew();
  else throw error;
}

async function send(method, path, body, headers = {}) {
  const init = { method, headers: { ...headers } };
  if (csrf && method !== "GET") init.headers["x-csrf-token"] = csrf;
  if (body instanceof Blob) init.body = body;
  else if (body !== undefined) {
    init.headers["content-type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  const answer = await fetch("/api/v1" + path, init);
  if (answer.status === 204) return null;
  const content = await answer.json();
  if (!answer.ok) throw new Refused(content);
  return content;
}

export function keep(session) {
  csrf = session.csrf_token;
  renewAt = session.expires_in_s ? Date.now() + session.expires_in_s * 600 : renewAt;
  return session.me;
}

export async function renew() {
  renewAt = 0;
  try {
    return keep(await send("POST", "/session/refresh"));
  } catch (error) {
    if (!(error instanceof Refused) || !error.problem.raced) throw error;
  }
  // Another tab was faster, and its cookies are ours as soon as they are here. Many tabs may be waiting: look before renewing.
  await new Promise((done) => setTimeout(done, RACED_MS * (1 + Math.random())));
  return (await present()) ?? keep(await send("POST", "/session/refresh"));
}

// The session that the access cookie is of; null without one.
async function present() {
  try {
    return keep(await send("GET", "/session"));
  } catch (error) {
    if (!(error instanceof Refused) || error.problem.status !== 401) throw error;
    return null;
  }
}

export function forget() {
  csrf = "";
  renewAt = 0;
}

// The signed-in session of this browser, renewed when only its refresh cookie is left; null when there is none.
export async function resume() {
  try {
    return (await present()) ?? (await renew());
  } catch (error) {
    if (!(error instanceof Refused) || error.problem.status !== 401) throw error;
    return null;
  }
}

// Follow a topic until it ends, through cuts and restarts: each connection resumes behind the last sequence seen.
export function follow(topic, { snapshot, events, end, problem }) {
  let last = null;
  let stopped = false;
  let socket = null;
  let pause = 250;
  const open = () => {
    socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/live`);
    socket.onopen = () => socket.send(JSON.stringify(last === null ? { op: "subscribe", topic } : { op: "subscribe", topic, after: last }));
    socket.onmessage = (message) => {
      if (stopped) return;
      const frame = JSON.parse(message.data);
      pause = 250;
      if (frame.op === "problem") {
        stopped = true;
        problem(frame.problem);
      }
      if (frame.seq !== undefined) last = frame.seq;
      if (frame.op === "snapshot") snapshot(frame.data);
      if (frame.op === "events") events(frame.data);
      if (frame.op === "end") {
        stopped = true;
        end();
      }
      if (stopped) socket.close();
    };
    socket.onclose = async () => {
      if (stopped) return;
      setTimeout(async () => {
        try {
          await resume();
        } catch {
          // the next attempt tells
        }
        if (!stopped) open();
      }, pause);
      pause = Math.min(pause * 2, 5000);
    };
  };
  open();
  return () => {
    stopped = true;
    socket.close();
  };
}
