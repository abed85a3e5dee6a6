// Agents that an org has for the asking: what each is for, what it wants to know, and the first word with it.

import { fieldsOf, valueOf, wrongFields } from "../schema-form.js";
import { store } from "./attachments.js";
import { button, h } from "./element.js";

const SAMPLE = "/sample.mbox";

// The list of them; opened(agentId) is called when one is at work.
export function assistants(chat, opened) {
  const list = h("ul", { className: "people", aria: { label: "Assistants" } }, h("li", {}, "Reading…"));
  chat.attempt(async () => {
    const { items } = await chat.polis.call("ListResources", { type: "assistant", limit: 50 });
    const found = await Promise.all(items.map((each) => chat.polis.call("ResolveResource", { type: "assistant", key: each.key }).catch(() => null)));
    list.replaceChildren(...found.filter(Boolean).map((each) => line(chat, each, list, opened)));
    if (!list.children.length) list.replaceChildren(h("li", {}, "There are none."));
  });
  return list;
}

function line(chat, { key, content }, list, opened) {
  const there = chat.people.others().some(({ kind, note }) => kind === "agent" && note === `@${content.key}`);
  const choose = () => (Object.keys(content.settings ?? {}).length ? list.replaceWith(form(chat, key, content, opened)) : chat.attempt(() => install(chat, key, {}, opened)));
  return h("li", { className: "row" },
    h("span", { className: "grow" }, content.name, " ", h("small", {}, content.description ?? "")),
    button(there ? "Set up again" : "Add", choose, { ariaLabel: `${there ? "Set up again" : "Add"}: ${content.name}` }),
  );
}

async function install(chat, key, settings, opened) {
  const { agent_id: agent } = await chat.polis.call("InstallAssistant", { assistant: key, settings });
  await chat.people.read();
  await opened(agent);
}

const isFile = ({ schema }) => schema?.required?.includes("artifact_id");

function form(chat, key, { name, settings }, opened) {
  const files = Object.entries(settings).filter(([, setting]) => isFile(setting));
  const others = Object.entries(settings).filter(([, setting]) => !isFile(setting));
  const inputs = new Map(files.map(([called, { description }]) => [called, fileField(called, description)]));
  const schema = {
    properties: Object.fromEntries(others.map(([called, { schema: of, description }]) => [called, { title: called, description, ...of }])),
    required: others.filter(([, { required }]) => required !== false).map(([called]) => called),
  };
  const fields = h("fieldset", { hidden: !others.length }, h("legend", {}, "Settings"), ...fieldsOf(schema));
  const send = h("button", { type: "submit" }, `Add ${name}`);
  const submit = (event) => {
    event.preventDefault();
    chat.attempt(async () => {
      send.disabled = true;
      try {
        const given = others.length ? valueOf(fields) : {};
        for (const [called, { input, bar }] of inputs) given[called] = await stored(chat, input.files[0], bar);
        await install(chat, key, given, opened);
      } catch (error) {
        wrongFields(fields, (error.faults ?? []).map(({ pointer }) => ({ pointer: pointer.replace("/settings", "/value") })));
        throw error;
      } finally {
        send.disabled = false;
      }
    });
  };
  return h("form", { on: { submit } }, [...inputs.values()].map(({ label }) => label), fields, send);
}

function fileField(called, description) {
  const input = h("input", { type: "file", name: called, required: called !== "mailbox" });
  const bar = h("progress", { max: 1, value: 0, hidden: true, aria: { label: "On its way" } });
  const hint = called === "mailbox" ? " Without a file, a sample is taken." : "";
  return { input, bar, label: h("label", {}, called, h("small", {}, `${description}${hint}`), input, bar) };
}

async function stored(chat, given, bar) {
  const file = given ?? new File([await (await fetch(SAMPLE)).blob()], "sample.mbox", { type: "application/mbox" });
  bar.hidden = false;
  const { artifact_id: id, name, size } = await store(chat.polis, file, (done) => (bar.value = done), new AbortController().signal);
  return { artifact_id: id, name, size };
}
