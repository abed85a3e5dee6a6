// The page: sign in, start the digest as the agent sarah, follow it live, show what it gave.

import { Refused, call, follow, forget, keep, resume } from "/api.js";

const at = (id) => document.getElementById(id);
let signingUp = false;
let ticket = "";
let runId = null;
let stopFollowing = () => {};

// Pages that send here who has no session, and get back who has one.
const BACK = new Set(["/chat"]);
const then = new URLSearchParams(location.search).get("then");

function show(me) {
  if (me && BACK.has(then)) location.replace(then + location.hash);
  at("door").hidden = Boolean(me);
  at("work").hidden = !me;
  at("sign-out").hidden = !me;
  at("account").hidden = !me;
  at("chat").hidden = !me;
  at("who").textContent = me ? `${me.principal.name} (${me.role})` : "";
}

function complain(error) {
  const faults = error instanceof Refused && error.problem.faults ? error.problem.faults : [];
  const details = faults.map((fault) => `${fault.pointer || "input"}: ${fault.detail}`).join("; ");
  at("problem").textContent = details ? `${error.message} ${details}` : error.message;
  at("problem").hidden = false;
}

async function attempt(work) {
  at("problem").hidden = true;
  try {
    await work();
  } catch (error) {
    complain(error);
  }
}

at("switch").addEventListener("click", () => {
  signingUp = !signingUp;
  at("switch").setAttribute("aria-pressed", String(signingUp));
  at("name-field").hidden = !signingUp;
  at("enter").textContent = signingUp ? "Create account" : "Sign in";
  at("door-title").textContent = signingUp ? "Create an account" : "Sign in";
  at("switch").textContent = signingUp ? "I have an account" : "I have no account yet";
});

at("credentials").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const form = new FormData(event.target);
    const [email, password] = [form.get("email"), form.get("password")];
    if (signingUp && !(await signUp({ email, password, name: form.get("name") || email }))) return;
    try {
      show(keep(await call("POST", "/session", { email, password })));
    } catch (error) {
      if (!(error instanceof Refused) || !error.problem.ticket) throw error;
      ticket = error.problem.ticket;
      at("credentials").hidden = true;
      at("second").hidden = false;
      at("second").elements.code.focus();
    }
    event.target.reset();
  });
});

// False where the address is confirmed by a mail first, which is then on its way.
async function signUp(account) {
  try {
    await call("POST", "/sign-up", account);
    return true;
  } catch (error) {
    if (!(error instanceof Refused) || !error.problem.type.endsWith("/confirmation-needed")) throw error;
  }
  await call("POST", "/sign-up/mail", { email: account.email });
  at("credentials").hidden = true;
  at("mailed").hidden = false;
  return false;
}

at("second").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const code = new FormData(event.target).get("code").trim();
    show(keep(await call("POST", "/session/second-factor", { ticket, code })));
    ticket = "";
    at("credentials").hidden = false;
    at("second").hidden = true;
    event.target.reset();
  });
});

at("sign-out").addEventListener("click", () =>
  attempt(async () => {
    stopFollowing();
    await call("DELETE", "/session");
    forget();
    // What the chat has kept of somebody is nobody else's.
    for (const key of Object.keys(localStorage)) if (key.startsWith("polis.chat/")) localStorage.removeItem(key);
    show(null);
  }),
);

at("start").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    at("run").disabled = true;
    at("digest").hidden = true;
    at("steps").replaceChildren();
    try {
      await start(new FormData(event.target).get("mailbox"));
    } finally {
      at("run").disabled = false;
    }
  });
});

at("cancel").addEventListener("click", () => attempt(() => call("POST", `/runs/${runId}/cancel`)));

async function start(file) {
  await sarah();
  const given = file && file.size > 0;
  const content = given ? file : await (await fetch("/sample.mbox")).blob();
  const name = given ? file.name : "sample.mbox";
  at("state").textContent = "Uploading…";
  const artifact = await call("POST", `/artifacts?name=${encodeURIComponent(name)}`, content);
  const mailbox = { artifact_id: artifact.id, name: artifact.name, size: artifact.size };
  const run = await call("POST", "/runs", { graph: "email-digest", agent: "sarah", input: { mailbox } });
  runId = run.id;
  at("cancel").hidden = false;
  stopFollowing = follow(`run/${run.id}`, {
    snapshot: (data) => {
      for (const step of data.steps) draw(step);
      for (const transition of data.transitions) take(transition);
      at("state").textContent = data.run.state;
    },
    events: (transitions) => transitions.forEach(take),
    end: () => attempt(finish),
    problem: (problem) => complain(new Refused(problem)),
  });
}

async function sarah() {
  try {
    await call("GET", "/agents/sarah");
  } catch (error) {
    if (!(error instanceof Refused) || error.problem.status !== 404) throw error;
    await call("POST", "/agents", { key: "sarah", name: "Sarah" });
  }
}

function take(transition) {
  if (transition.step) draw(transition.step);
  else at("state").textContent = transition.state;
}

function draw(step) {
  let item = document.getElementById(`step-${step.node}`);
  if (!item) {
    item = document.createElement("li");
    item.id = `step-${step.node}`;
    at("steps").append(item);
  }
  const took = step.ended_ms != null && step.started_ms != null ? ` ${step.ended_ms - step.started_ms} ms` : "";
  item.dataset.state = step.state;
  item.dataset.activity = step.activity;
  item.textContent = `${step.title || step.node} — ${step.state}, ${step.received} in, ${step.emitted} out${took}`;
}

async function finish() {
  at("cancel").hidden = true;
  const run = await call("GET", `/runs/${runId}`);
  at("state").textContent = run.error ? `${run.state}: ${run.error.step}: ${run.error.message}` : run.state;
  if (run.state !== "succeeded") return;
  const output = await call("GET", `/runs/${runId}/output`);
  at("digest").textContent = output.values.digest;
  at("digest").hidden = false;
}

attempt(async () => show(await resume()));
