// Answers an ask by the link of a mail: its token stands behind the # and so never reaches a server's log. Opening the
// page only shows what is asked; the answer is sent by a button.

import { Refused, call } from "/api.js";
import { at, attempt, tell } from "/forms.js";
import { fieldsOf, valueOf, wrongFields } from "/schema-form.js";

const WORDS = { approve: "Approve", deny: "Deny", submit: "Send", done: "Done", decline: "Decline" };
const PLAIN = new Set(["deny", "decline"]);
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);

let sheet = null;

function show(asked) {
  sheet = asked;
  const { ask } = asked;
  at("title").textContent = ask.title;
  at("text").textContent = asked.text;
  if (asked.value !== null) {
    at("value").textContent = typeof asked.value === "string" ? asked.value : JSON.stringify(asked.value, null, 2);
    at("about").hidden = false;
    at("about").open = ask.kind === "approval";
  }
  if (ask.due_at) at("due").textContent = `Until ${new Date(ask.due_at).toLocaleString()}.`;
  if (ask.state !== "open") {
    tell(ask.state === "answered" ? "This has been answered." : "No answer is needed any more.");
    return;
  }
  if (asked.choices.length) showChoices(asked);
  else showFields(asked);
  showDecisions(asked);
  at("answer").hidden = false;
}

function showChoices({ choices, votes, ask }) {
  for (const { key, title } of choices) {
    const label = document.createElement("label");
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: "choice", value: key, required: true });
    const count = ask.kind === "vote" ? ` (${votes[key] ?? 0})` : "";
    label.className = "row";
    label.append(radio, ` ${title || key}${count}`);
    at("choices").append(label);
  }
  at("choices").hidden = false;
}

// The values of a form; of an approval its arguments, if they may be edited and a form says how.
function showFields({ ask, form, value, editable }) {
  const edits = ask.kind === "approval";
  if (edits && !(editable && form)) return;
  if (!edits && !form && ask.kind !== "input") return;
  if (edits) at("legend").textContent = "As it goes on: change what should be otherwise";
  at("fields").append(...fieldsOf(form ?? {}, edits ? value : undefined));
  at("fields").hidden = false;
}

function showDecisions({ decisions, choices }) {
  const buttons = choices.length ? [["", "Send"]] : decisions.map((key) => [key, WORDS[key] ?? key]);
  for (const [key, words] of buttons) {
    const button = Object.assign(document.createElement("button"), { value: key, textContent: words });
    button.type = PLAIN.has(key) ? "button" : "submit";
    // What is refused needs no values, so the form is not looked at.
    if (PLAIN.has(key)) button.addEventListener("click", () => answer(key));
    at("decisions").append(button);
  }
}

function answer(decision) {
  return attempt(async () => {
    const form = new FormData(at("answer"));
    const body = { token, decision: decision || form.get("choice"), note: form.get("note") };
    if (!at("fields").hidden && !PLAIN.has(decision)) body.value = valueOf(at("fields"));
    try {
      await call("POST", "/ask-links/answer", body);
    } catch (error) {
      if (error instanceof Refused) wrongFields(at("fields"), error.problem.faults ?? []);
      throw error;
    }
    at("answer").hidden = true;
    tell("Thank you: your answer has been taken.");
  });
}

at("answer").addEventListener("submit", (event) => {
  event.preventDefault();
  answer(event.submitter?.value ?? sheet.decisions[0]);
});

attempt(async () => show(await call("POST", "/ask-links/show", { token })));
