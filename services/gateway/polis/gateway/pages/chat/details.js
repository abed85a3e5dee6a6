// About the open conversation: who takes part, what is pinned, its name; and leaving it.

import { peopleField } from "./begin.js";
import { confirmed, openDialog } from "./dialog.js";
import { button, h } from "./element.js";
import { found, line } from "./found.js";
import { tell } from "./heard.js";

// What its menu offers.
export function details(chat) {
  const { room } = chat.open;
  const { kind, archived_at: archived } = room.conversation;
  const muted = chat.muted.has(room.id);
  const change = (fields) => chat.attempt(() => chat.polis.call("ChangeConversation", { conversation_id: room.id, ...fields }));
  return [
    { text: "Search in it…", act: () => found(chat, "", room.id) },
    { text: "Pinned messages…", act: () => pins(chat, room) },
    kind === "direct" ? null : { text: "Who takes part…", act: () => participants(chat, room) },
    !room.role && kind !== "direct" ? { text: "Join", act: () => chat.attempt(() => chat.polis.call("JoinConversation", { conversation_id: room.id })) } : null,
    room.role ? { text: muted ? "Notify me of it again" : "Mute it", act: () => mute(chat, room, !muted) } : null,
    room.manages ? { text: "Rename…", act: () => rename(room, change) } : null,
    room.manages ? { text: archived ? "Open it again" : "Archive", act: () => change({ archived: !archived }) } : null,
    room.role && kind !== "direct" ? { text: "Leave…", act: () => leave(chat, room) } : null,
  ].filter(Boolean);
}

// Somebody who is invited comes in, or does not, before there is anything to see.
export function invited(chat, { id, kind, name }) {
  const answer = (operation, then, close) => chat.attempt(async () => {
    close();
    await chat.polis.call(operation, { conversation_id: id });
    await chat.refresh();
    then();
  });
  openDialog(`You are invited: ${name || kind}`, (close) =>
    h("p", { className: "row" },
      button("Come in", () => answer("JoinConversation", () => chat.show(), close), { autofocus: true }),
      button("Decline", () => answer("LeaveConversation", () => (location.hash = ""), close)),
    ),
  );
}

// The button that opened the menu has the focus again by now: what has become of it is told.
function mute(chat, { id }, muted) {
  return chat.attempt(async () => {
    await chat.muted.set(id, muted);
    tell(muted ? "It is muted: you are told of it here alone." : "You are told of it as of others again.");
  });
}

function pins(chat, room) {
  return chat.attempt(async () => {
    const { items } = await chat.polis.call("ListMessages", { conversation_id: room.id, pinned: true, limit: 100 });
    openDialog("Pinned messages", (close) => (items.length ? h("ul", { className: "found" }, items.map((message) => line(chat, message, close))) : h("p", {}, "Nothing is pinned.")));
  });
}

function rename(room, change) {
  openDialog("Rename", (close) => {
    const name = h("input", { value: room.conversation.name, maxLength: 120, autofocus: true });
    const topic = h("input", { value: room.conversation.topic, maxLength: 120 });
    const submit = (event) => {
      event.preventDefault();
      close();
      change({ name: name.value, topic: topic.value });
    };
    return h("form", { on: { submit } }, h("label", {}, "Name", name), h("label", {}, "What it is about", topic), h("button", { type: "submit" }, "Save"));
  });
}

async function leave(chat, room) {
  if (!(await confirmed("Leave this conversation?", "You read and say nothing in it any more.", "Leave"))) return;
  await chat.attempt(async () => {
    await chat.polis.call("LeaveConversation", { conversation_id: room.id });
    location.hash = "";
    await chat.refresh();
  });
}

function participants(chat, room) {
  const adds = room.manages || (room.writes && room.conversation.kind === "channel" && room.role);
  openDialog("Who takes part", () => {
    const list = h("ul", { className: "people" });
    const draw = () => list.replaceChildren(...inside(room).map((each) => participantLine(chat, room, each, draw)));
    draw();
    return [list, adds ? adding(chat, room, draw) : null].flat();
  });
}

const inside = (room) => [...room.participants.values()].filter(({ state }) => state === "joined" || state === "invited");

function participantLine(chat, room, { principal_id: id, role, state }, draw) {
  const { name, note } = chat.people.of(id);
  const remove = () => chat.attempt(async () => {
    await chat.polis.call("RemoveParticipant", { conversation_id: room.id, principal_id: id });
    room.participants.delete(id);
    draw();
  });
  const removable = room.manages && id !== room.me && (role === "member" || role === "observer" || room.role === "owner");
  return h("li", { className: "row" },
    h("span", { className: "grow" }, id === room.me ? `${name} (you)` : name, " ", h("small", {}, `${note} ${state === "invited" ? "invited" : role}, ${room.about(id)}`)),
    removable ? h("button", { type: "button", aria: { label: `Remove ${name}` }, on: { click: remove } }, "Remove") : null,
  );
}

function adding(chat, room, draw) {
  const outside = ({ id }) => !inside(room).some(({ principal_id: inIt }) => inIt === id);
  const add = (id, redraw) => chat.attempt(async () => {
    const participant = await chat.polis.call("AddParticipant", { conversation_id: room.id, principal_id: id });
    room.participants.set(id, participant);
    redraw();
    draw();
  });
  return peopleField(
    chat.people,
    ({ id, name, note }, redraw) => button(["Add ", name, " ", h("small", {}, note)], () => add(id, redraw), { className: "plain" }),
    { label: "Add somebody", fits: outside, nobody: "Everybody of this org takes part." },
  );
}
