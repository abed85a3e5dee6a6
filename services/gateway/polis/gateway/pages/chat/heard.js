// What screen readers are told of the open conversation: whole messages, those that come together as one, never the tokens of one.

import { at } from "./element.js";

const TOGETHER_MS = 700;
const MOST = 3;
const LONGEST = 500;

let waiting = [];
let timer = 0;

export function tell(text) {
  waiting.push(text.slice(0, LONGEST));
  if (!timer) timer = setTimeout(said, TOGETHER_MS);
}

function said() {
  timer = 0;
  at("heard").textContent = waiting.length > MOST ? `${waiting.length} new messages. ${waiting.at(-1)}` : waiting.join(". ");
  waiting = [];
}
