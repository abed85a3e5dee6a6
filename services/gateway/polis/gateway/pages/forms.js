// What the plain pages share: elements by id, and forms whose refusals are told in words.

import { Refused } from "/api.js";

export const at = (id) => document.getElementById(id);

export function tell(text) {
  at("done").textContent = text;
}

export async function attempt(work) {
  at("problem").hidden = true;
  try {
    await work();
  } catch (error) {
    const faults = error instanceof Refused && error.problem.faults ? error.problem.faults : [];
    const details = faults.map((fault) => `${fault.pointer || "input"}: ${fault.detail}`).join("; ");
    at("problem").textContent = details ? `${error.message} ${details}` : error.message;
    at("problem").hidden = false;
  }
}

// Calls `work` with the form's values on submit; the form is emptied when that succeeds.
export function on(id, work) {
  at(id).addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      await work(Object.fromEntries(new FormData(event.target)));
      event.target.reset();
    });
  });
}
