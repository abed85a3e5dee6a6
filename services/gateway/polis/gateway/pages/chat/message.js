// A message in the log: who said it, what, what it answers, its files and signs.

import { button, h } from "./element.js";
import { fileOf } from "./attachments.js";
import { cardOf } from "./cards.js";
import { write } from "./rendered.js";
import { clock, full } from "./times.js";

const QUOTED = 120;

// Fills the element of a row; `act` is what can be done: reply, react, menu, jump, again, drop, edit, history.
export function drawMessage(row, element, act) {
  const { message, mine, compact, agent } = row;
  element.className = `message${mine ? " mine" : ""}${compact ? " compact" : ""}${agent ? " agent" : ""}`;
  element.dataset.seq = row.seq;
  const text = element.querySelector(":scope > .body > .text") ?? h("div", { className: "text" });
  if (message.deleted_at) {
    text.written = [];
    text.replaceChildren(h("p", {}, h("em", {}, "This message was deleted.")));
  } else write(text, message.text);
  element.replaceChildren(
    h("div", { className: "body" },
      head(row, act),
      row.replied ? quote(row, act) : null,
      text,
      message.parts.map((part) => partOf(part, element, act)),
      ended(message.stream),
      signs(message, row.reacted, act),
      row.seen ? h("p", { className: "seen" }, row.seen) : null,
    ),
    message.deleted_at ? "" : menuButton(row, act),
  );
}

// A card that somebody fills in stays the same element.
function partOf(part, element, act) {
  if (part.artifact_id) return fileOf(part);
  if (part.kind !== "ask" || !part.content?.ask_id) return cardOf(part);
  return element.querySelector(`:scope > .body > [data-ask="${CSS.escape(part.content.ask_id)}"]`) ?? act.ask(part);
}

function head({ name, message, compact }, act) {
  return h("p", { className: compact ? "head unseen" : "head" },
    h("strong", { dir: "auto" }, name), " ",
    h("time", { dateTime: message.sent_at, title: full(message.sent_at) }, clock(message.sent_at)),
    message.edited_at && !message.deleted_at ? [" ", button("edited", () => act.history(message), { className: "plain", tabIndex: -1 })] : null,
    message.pinned_at ? [" ", h("span", { className: "pinned" }, "pinned")] : null,
  );
}

function quote({ replied, quoted, quotedName }, act) {
  const words = quoted ? `${quotedName}: ${quoted.deleted_at ? "deleted" : short(quoted.text)}` : "An earlier message";
  return button(h("span", {}, h("span", { className: "unseen" }, "In answer to "), words), () => act.jump(replied), { className: "quote", tabIndex: -1 });
}

export function short(text) {
  const words = text.replace(/\s+/g, " ").trim();
  return words.length > QUOTED ? `${words.slice(0, QUOTED)}…` : words || "a file";
}

const ENDED = { partial: "This broke off.", preempted: "This was stopped.", cancelled: "This was cancelled." };

function ended(stream) {
  const words = stream && ENDED[stream.state];
  return words ? h("p", { className: "ended" }, stream.reason ? `${words} ${stream.reason}` : words) : null;
}

function signs({ reactions, seq }, reacted, act) {
  if (!reactions.length) return null;
  const names = reacted.split(" | ");
  return h("ul", { className: "signs", aria: { label: "Reactions" } },
    reactions.map(({ emoji, principal_ids: ids }, n) => {
      const mine = ids.includes(act.me);
      const label = `${emoji}, ${ids.length}: ${names[n]}`;
      return h("li", {}, h("button", {
        type: "button", tabIndex: -1, title: names[n],
        aria: { pressed: String(mine), label },
        on: { click: () => act.react(seq, emoji, !mine) },
      }, `${emoji} ${ids.length}`));
    }),
  );
}

function menuButton({ name, message }, act) {
  return h("button", {
    type: "button", className: "more", tabIndex: -1,
    aria: { label: `What to do with ${name === "You" ? "your" : `${name}’s`} message`, haspopup: "menu" },
    on: { click: (event) => act.menu(message, event.currentTarget) },
  }, "⋯");
}

const WAITS = { waiting: "Waiting for the connection", sending: "Sending…", sent: "Sent" };

// One that is on its way: it is where it will stand, and says so.
export function drawPending({ item }, element, act) {
  element.className = "message mine pending";
  element.dataset.client = item.client_id;
  const text = h("div", { className: "text" });
  write(text, item.text);
  const failed = item.state === "failed";
  element.replaceChildren(
    h("div", { className: "body" },
      text,
      item.parts.map((part) => h("p", { className: "file" }, part.name)),
      h("p", { className: failed ? "seen bad" : "seen", role: failed ? "alert" : undefined }, failed ? `Not sent: ${item.why}` : WAITS[item.state]),
      failed ? h("p", { className: "row" }, button("Try again", () => act.again(item)), button("Edit", () => act.rewrite(item)), button("Discard", () => act.drop(item))) : null,
    ),
  );
}
