// One's own account: password, second factor, sessions, and what one is told of messages. What is sensitive asks once more who one is.

import { Refused, call, keep, resume } from "/api.js";
import { at, attempt, on, tell } from "/forms.js";

let waiting = null;

// Does something sensitive; where a fresh proof is asked for, after the form for it.
async function sensitive(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused) || error.problem.type !== "/problems/step-up-required") throw error;
    waiting = work;
    at("confirm").hidden = false;
    at("confirm").elements.proof.focus();
  }
}

on("confirm", async ({ proof }) => {
  const given = /^[0-9]{6}$/.test(proof.trim()) ? { code: proof.trim() } : { password: proof };
  keep(await call("POST", "/session/confirm", given));
  at("confirm").hidden = true;
  const work = waiting;
  waiting = null;
  if (work) await work();
});

on("password", async (passwords) => {
  await call("POST", "/me/password", passwords);
  tell("The password is changed. Other sessions have ended.");
  await showSessions();
});

async function showFactor() {
  const factor = await call("GET", "/me/totp");
  const on = Boolean(factor.since);
  at("factor").textContent = on ? `On. ${factor.recovery_codes_left} recovery codes are left.` : "Off: the password alone opens the account.";
  at("enrol").hidden = on;
  at("codes").hidden = !on;
  at("remove").hidden = !on;
}

function showCodes({ recovery_codes: codes }) {
  at("recovery-codes").replaceChildren(
    ...codes.map((code) => Object.assign(document.createElement("li"), { textContent: code })),
  );
  at("recovery").hidden = false;
}

at("enrol").addEventListener("click", () =>
  attempt(() =>
    sensitive(async () => {
      const totp = await call("POST", "/me/totp");
      at("secret").textContent = totp.secret;
      at("uri").href = totp.uri;
      at("enrolment").hidden = false;
    }),
  ),
);

on("enrolment", async ({ code }) => {
  showCodes(await call("POST", "/me/totp/confirm", { code }));
  at("enrolment").hidden = true;
  at("secret").textContent = "";
  await showFactor();
});

at("codes").addEventListener("click", () =>
  attempt(() =>
    sensitive(async () => {
      showCodes(await call("POST", "/me/recovery-codes"));
      await showFactor();
    }),
  ),
);

at("remove").addEventListener("click", () =>
  attempt(() =>
    sensitive(async () => {
      await call("DELETE", "/me/totp");
      at("recovery").hidden = true;
      await showFactor();
    }),
  ),
);

function line(session) {
  const item = document.createElement("li");
  item.textContent = `${session.device || "unknown device"}, ${session.address || "unknown address"}, since ${new Date(session.opened_at).toLocaleString()}`;
  if (session.current) {
    item.append(" (this one)");
    return item;
  }
  const end = Object.assign(document.createElement("button"), { type: "button", textContent: "End" });
  end.setAttribute("aria-label", `End the session on ${session.device || "an unknown device"}`);
  end.addEventListener("click", () =>
    attempt(async () => {
      await call("DELETE", `/sessions/${session.id}`);
      await showSessions();
    }),
  );
  item.append(" ", end);
  return item;
}

async function showSessions() {
  const page = await call("GET", "/sessions");
  at("sessions").replaceChildren(...page.items.map(line));
}

at("end-others").addEventListener("click", () =>
  attempt(async () => {
    await call("DELETE", "/sessions");
    await showSessions();
  }),
);

let notOf = [];
let kept = null;

function showTold({ about = [], mail = false, hook, quiet, not_of, failed_at, failure }) {
  const { elements } = at("told");
  for (const box of elements.about) box.checked = about.includes(box.value);
  elements.mail.checked = mail;
  elements.url.value = hook?.url ?? "";
  elements.secret_id.value = hook?.secret_id ?? "";
  elements.begin.value = quiet?.begin ?? "";
  elements.end.value = quiet?.end ?? "";
  elements.zone.value = quiet?.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  at("failure").hidden = !failure;
  at("failure").textContent = failure ? `On ${new Date(failed_at).toLocaleString()} it did not arrive. ${failure}` : "";
  notOf = not_of ?? [];
  kept = hook;
}

const hostOf = (url) => new URL(url).host;

// Whether a secret is the one that is made here: who may keep no other has no other.
async function isMade(id) {
  try {
    return (await call("GET", `/secrets/${id}`)).name === "notifications.webhook";
  } catch (error) {
    return error instanceof Refused && error.problem.type === "/problems/forbidden";
  }
}

// The secret that was named, or else one that is made, for the host of the webhook and no other: anew for another host. It is shown once.
async function signing(url, named) {
  const moved = kept && named === kept.secret_id && hostOf(url) !== hostOf(kept.url);
  if (named && !(moved && (await isMade(named)))) return named;
  const { secret_id: id, value } = await call("POST", "/notification-secret", { host: hostOf(url) });
  at("told").elements.secret_id.value = id;
  at("signing").textContent = value;
  at("signed").hidden = false;
  return id;
}

at("told").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = new FormData(event.target);
  const of = (name) => given.get(name).trim();
  const wanted = {
    about: given.getAll("about"),
    mail: given.has("mail"),
    quiet: of("begin") || of("end") ? { begin: of("begin"), end: of("end"), zone: of("zone") } : null,
    not_of: notOf,
  };
  attempt(async () => {
    const url = of("url");
    wanted.hook = url ? { url, secret_id: await signing(url, of("secret_id")) } : null;
    showTold(await call("PUT", "/notification-preferences", wanted));
    tell("Kept.");
  });
});

attempt(async () => {
  if (!(await resume())) {
    location.assign("/");
    return;
  }
  await Promise.all([showFactor(), showSessions()]);
  showTold(await call("GET", "/notification-preferences"));
});
