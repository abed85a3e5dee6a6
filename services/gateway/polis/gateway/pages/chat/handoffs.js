// Conversations on their way from an agent to a person and back: who is asked, takes over and gives back.

import { at, button, h, keyed } from "./element.js";

const MOST = 5;

// Those that wait for somebody like the caller, above its conversations.
export async function showWaiting(chat) {
  const { items } = await chat.polis.call("ListHandoffs", { state: "waiting", limit: MOST });
  at("waiting").hidden = !items.length;
  keyed(at("waiting"), items, { key: ({ id }) => id, same: (a, b) => a.id === b.id, draw: (handoff, element) => element.replaceChildren(...waiting(chat, handoff)) });
}

function waiting(chat, { id, conversation_id: conversation, from_id: from, reason, summary }) {
  return [
    h("span", {}, h("strong", {}, `${chat.people.of(from).name} asks you to take over: `), reason),
    ...(summary ? [h("small", {}, summary)] : []),
    button("Take over", () => chat.attempt(async () => {
      await chat.polis.call("ClaimHandoff", { handoff_id: id });
      await chat.refresh();
      chat.go(conversation);
    })),
  ];
}

// What of the open conversation is handed over, above its messages.
export function showHandoffs(chat, room) {
  const items = [...room.handoffs.values()];
  at("handoff").hidden = !items.length;
  keyed(at("handoff"), items, { key: ({ id }) => id, draw: (handoff, element) => element.replaceChildren(...held(chat, room, handoff)) });
}

function held(chat, { role, me, manages, conversation }, { id, state, reason, summary, from_id: from, claimed_by: holder }) {
  const act = (operation) => () => chat.attempt(() => chat.polis.call(operation, { handoff_id: id }));
  const back = state === "claimed" && (holder === me || manages);
  const mayEnd = state === "waiting" && (from === me || manages || (conversation.kind === "direct" && role));
  const words = state === "waiting" ? `Waiting for somebody to take over: ${reason}` : `${chat.people.name(holder)} took over from ${chat.people.of(from).name}: ${reason}`;
  return [
    h("p", {}, words, summary ? h("small", {}, ` ${summary}`) : ""),
    back ? button("Give it back", act("ReturnHandoff")) : "",
    mayEnd ? button("Ask nobody any more", act("CancelHandoff")) : "",
  ];
}
