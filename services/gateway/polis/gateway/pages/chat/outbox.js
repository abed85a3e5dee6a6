// Messages that were written and are not yet known to have arrived. They outlive the page; each is sent under an id of its own, so
// that one that is sent again, by this page or another, is posted once.

const MOST = 200;
const FIRST_MS = 2_000;
const LONGEST_MS = 60_000;

export class Outbox {
  #kept;
  #post;
  #tell;
  #items;
  #busy = new Set();
  #timer = 0;
  #failures = 0;

  // post(item) sends one and gives its number; a refusal that no repeat would mend is thrown with a status below 500.
  constructor(kept, post, tell) {
    this.#kept = kept;
    this.#post = post;
    this.#tell = tell;
    const found = kept.names("out/").map((name) => kept.get(name)).filter(Boolean);
    this.#items = found.sort((a, b) => a.at - b.at).slice(-MOST).map((item) => ({ ...item, state: item.why ? "failed" : "waiting" }));
  }

  get full() {
    return this.#items.length >= MOST;
  }

  of(conversationId) {
    return this.#items.filter((item) => item.conversation_id === conversationId);
  }

  add(fields) {
    const item = { client_id: newId(), at: Date.now(), state: "waiting", ...fields };
    this.#items.push(item);
    this.#keep(item);
    this.#tell(item.conversation_id);
    this.run();
    return item;
  }

  again(clientId) {
    this.#change(clientId, { state: "waiting", why: "" });
    this.run();
  }

  // Gives back what it was, for who wants to write it otherwise.
  drop(clientId) {
    const item = this.#items.find((each) => each.client_id === clientId);
    if (!item) return null;
    this.#items = this.#items.filter((each) => each !== item);
    if (!this.#items.length) clearTimeout(this.#timer);
    this.#kept.drop(`out/${clientId}`);
    this.#tell(item.conversation_id);
    return item;
  }

  // What was sent is known to be there up to this number of its conversation.
  settle(conversationId, seq) {
    this.#items = this.#items.filter((item) => item.conversation_id !== conversationId || item.state !== "sent" || item.seq > seq);
  }

  // Sends what waits, of each conversation one after the other.
  run() {
    clearTimeout(this.#timer);
    for (const item of this.#items) if (item.state === "waiting") this.#send(item.conversation_id);
  }

  async #send(conversationId) {
    if (this.#busy.has(conversationId)) return;
    this.#busy.add(conversationId);
    try {
      for (let item; (item = this.#next(conversationId)); ) {
        this.#change(item.client_id, { state: "sending" });
        const { seq } = await this.#post(item);
        this.#failures = 0;
        // It stays in sight until the conversation shows it.
        this.#kept.drop(`out/${item.client_id}`);
        this.#change(item.client_id, { state: "sent", seq }, false);
      }
    } catch (error) {
      this.#failed(conversationId, error);
    } finally {
      this.#busy.delete(conversationId);
    }
  }

  #next(conversationId) {
    return this.#items.find((item) => item.conversation_id === conversationId && item.state === "waiting");
  }

  #failed(conversationId, error) {
    const item = this.#items.find((each) => each.conversation_id === conversationId && each.state === "sending");
    // One that the conversation has shown meanwhile, or that was discarded, holds up nothing behind it either.
    if (!item || lasting(error)) {
      if (item) this.#change(item.client_id, { state: "failed", why: error.message });
      queueMicrotask(() => this.run());
      return;
    }
    this.#change(item.client_id, { state: "waiting" });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.run(), Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#failures++));
  }

  #change(clientId, fields, keep = true) {
    this.#items = this.#items.map((item) => (item.client_id === clientId ? { ...item, ...fields } : item));
    const item = this.#items.find((each) => each.client_id === clientId);
    if (!item) return;
    if (keep) this.#keep(item);
    this.#tell(item.conversation_id);
  }

  #keep({ state, ...item }) {
    this.#kept.set(`out/${item.client_id}`, item);
  }
}

// What the gateway was not reached for, or says later to, may pass; so does a session that has ended, once it is opened again.
function lasting({ status, type }) {
  return status >= 400 && status < 500 && ![401, 408, 429].includes(status) && type !== "/problems/in-flight";
}

// crypto.randomUUID is missing in pages that came over plain http.
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
