// Whom one can talk to: members and agents of the org, by id and by name.

const PAGES = 20;
const AGAIN_MS = 30_000;

export class People {
  #polis;
  #known = new Map();
  #readAt = 0;
  #tell;
  reading = Promise.resolve();

  constructor(polis, me, tell) {
    this.#polis = polis;
    this.#tell = tell;
    this.me = me.id;
    this.#known.set(me.id, { id: me.id, name: me.name, kind: "user", note: "" });
  }

  // Who is there now; `reading` is the last time that was asked.
  read() {
    this.#readAt = Date.now();
    return (this.reading = this.#read());
  }

  async #read() {
    const [members, agents] = await Promise.all([all(this.#polis, "ListMembers"), all(this.#polis, "ListAgents")]);
    for (const { principal_id: id, name, email } of members) this.#known.set(id, { id, name, kind: "user", note: email });
    for (const { id, name, key, suspended_at: suspended } of agents) {
      this.#known.set(id, { id, name, kind: "agent", note: `@${key}`, suspended: Boolean(suspended) });
    }
    this.#tell();
  }

  // Somebody of whom nothing is known may have come just now: it is looked for, now and then.
  of(id) {
    const found = this.#known.get(id);
    if (!found && Date.now() - this.#readAt > AGAIN_MS) this.read().catch(() => {});
    return found ?? { id, name: "Somebody", kind: "user", note: "" };
  }

  name(id) {
    return id === this.me ? "You" : this.of(id).name;
  }

  // All others, by name.
  others() {
    const found = [...this.#known.values()].filter(({ id, suspended }) => id !== this.me && !suspended);
    return found.sort((a, b) => a.name.localeCompare(b.name));
  }
}

async function all(polis, operation) {
  const found = [];
  let after;
  for (let page = 0; page < PAGES; page++) {
    const { items, next_cursor: next } = await polis.call(operation, { limit: 100, after });
    found.push(...items);
    if (!next) break;
    after = next;
  }
  return found;
}

// "Ada", "Ada and Tom", "Ada, Tom and 3 more".
export function listed(names, most = 3) {
  if (names.length > most) return `${names.slice(0, most - 1).join(", ")} and ${names.length - most + 1} more`;
  return names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

// What a conversation is called: of two, by the other one.
export function titleOf(conversation, people) {
  if (conversation.kind === "direct") {
    const other = conversation.with_ids.find((id) => id !== people.me);
    return other ? people.of(other).name : "Yourself";
  }
  return conversation.name || { group: "Group", channel: "Channel", agents: "Agents" }[conversation.kind];
}
