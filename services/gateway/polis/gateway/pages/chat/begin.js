// Beginning a conversation: with one, with several, or in a channel.

import { assistants } from "./assistants.js";
import { button, h, keyed } from "./element.js";
import { openDialog } from "./dialog.js";
import { titleOf } from "./people.js";

const SHOWN = 100;

export function beginDialog(chat) {
  openDialog("New conversation", (close) => {
    const pane = h("div", { id: "pane", className: "pane" });
    const kinds = { one: "Direct", group: "Group", channel: "Channel", ...(chat.scopes.has("identity:agents") && { assistant: "Assistant" }) };
    const draw = { one: () => ofOne(chat, close), group: () => ofSeveral(chat, close), channel: () => ofChannel(chat, close), assistant: () => ofAssistants(chat, close) };
    const tabs = Object.entries(kinds).map(([kind, text]) => h("button", { type: "button", role: "tab", id: `tab-${kind}`, aria: { controls: "pane" }, on: { click: () => choose(kind) } }, text));
    const choose = (kind) => {
      for (const tab of tabs) {
        const chosen = tab.id === `tab-${kind}`;
        tab.setAttribute("aria-selected", String(chosen));
        tab.tabIndex = chosen ? 0 : -1;
      }
      pane.setAttribute("aria-labelledby", `tab-${kind}`);
      pane.replaceChildren(...[draw[kind]()].flat());
    };
    const key = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
      next.click();
      next.focus();
    };
    pane.setAttribute("role", "tabpanel");
    chat.people.read().catch(() => {});
    choose("one");
    return [h("div", { role: "tablist", className: "tabs", aria: { label: "Kind of conversation" }, on: { keydown: key } }, tabs), pane];
  });
}

async function begun(chat, close, name, fields) {
  await chat.attempt(async () => {
    const conversation = await chat.polis.call(name, fields);
    close();
    await chat.refresh();
    chat.go(conversation.id);
  });
}

const NOBODY = "There is nobody else in this org yet: invite people, or add an assistant.";

// A field that narrows a list of people down; `line` says what stands in the line of one of them, `fits` who is in it.
// Enter takes the first who fits. Who is only being read yet comes as soon as that is done.
export function peopleField(people, line, { label = "Person or agent", fits = () => true, nobody = NOBODY } = {}) {
  const list = h("ul", { className: "people", aria: { label: "People and agents" } });
  const input = h("input", { type: "search", autocomplete: "off", autofocus: true });
  const none = h("p", { role: "status" });
  const draw = () => {
    const wanted = input.value.trim().toLowerCase();
    const all = people.others().filter(fits);
    const fitting = all.filter(({ name, note }) => `${name} ${note}`.toLowerCase().includes(wanted));
    keyed(list, fitting.slice(0, SHOWN), {
      key: ({ id }) => id,
      same: (a, b) => a.name === b.name && a.note === b.note,
      draw: (person, element) => element.replaceChildren(line(person, draw)),
    });
    none.textContent = fitting.length ? "" : all.length ? "Nobody of this name." : nobody;
  };
  const first = (event) => {
    const found = event.key === "Enter" && input.value.trim() && list.querySelector("button, input");
    if (!found) return;
    event.preventDefault();
    found.click();
  };
  input.addEventListener("input", draw);
  input.addEventListener("keydown", first);
  draw();
  people.reading.then(draw, () => {});
  return [h("label", {}, label, input), list, none];
}

const about = ({ kind, note }) => (kind === "agent" ? `agent ${note}` : note);

function ofOne(chat, close) {
  return peopleField(chat.people, ({ id, name, ...more }) => button([name, " ", h("small", {}, about(more))], () => begun(chat, close, "OpenDirect", { principal_id: id }), { className: "plain" }));
}

function ofAssistants(chat, close) {
  const opened = (id) => begun(chat, close, "OpenDirect", { principal_id: id });
  return [h("p", {}, "Agents that answer here once they are added:"), assistants(chat, opened)];
}

function ofSeveral(chat, close) {
  const chosen = new Set();
  const name = h("input", { name: "name", maxLength: 120, required: true, autocomplete: "off" });
  const field = peopleField(chat.people, ({ id, name: called, ...more }) => {
    const box = h("input", { type: "checkbox", checked: chosen.has(id), on: { change: () => (box.checked ? chosen.add(id) : chosen.delete(id)) } });
    return h("label", { className: "row" }, box, called, h("small", {}, about(more)));
  }, { label: "Who takes part" });
  const submit = (event) => {
    event.preventDefault();
    begun(chat, close, "CreateConversation", { kind: "group", name: name.value, participants: [...chosen] });
  };
  return h("form", { on: { submit } }, h("label", {}, "Name of the group", name), field, h("button", { type: "submit" }, "Begin"));
}

function ofChannel(chat, close) {
  const list = h("ul", { className: "people", aria: { label: "Channels" } });
  const input = h("input", { name: "name", maxLength: 120, required: true, autocomplete: "off", autofocus: true });
  let timer = 0;
  const search = () => chat.attempt(async () => {
    const { items } = await chat.polis.call("ListChannels", { name: input.value.trim(), limit: SHOWN });
    list.replaceChildren(...items.map((channel) => h("li", {}, button([titleOf(channel, chat.people), " ", h("small", {}, channel.topic)], () => joined(chat, close, channel), { className: "plain" }))));
    if (!items.length) list.replaceChildren(h("li", {}, "No channel of this name."));
  });
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, 300);
  });
  const submit = (event) => {
    event.preventDefault();
    begun(chat, close, "CreateConversation", { kind: "channel", name: input.value });
  };
  search();
  return h("form", { on: { submit } }, h("label", {}, "Name", input), h("p", {}, "Join a channel:"), list, h("button", { type: "submit" }, "Begin a channel of this name"));
}

function joined(chat, close, { id }) {
  if (chat.list.get(id)) {
    close();
    return chat.go(id);
  }
  return begun(chat, close, "JoinConversation", { conversation_id: id });
}
