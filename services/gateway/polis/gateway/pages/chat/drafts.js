// Texts that were begun: kept in this browser at once, and by the mesh for other devices a little later.

const MOST = 100;

export class Drafts {
  #polis;
  #kept;
  #saved = new Map();

  constructor(polis, kept) {
    this.#polis = polis;
    this.#kept = kept;
  }

  local(id) {
    return this.#kept.get(`draft/${id}`);
  }

  keepLocal(id, text, replyTo) {
    if (text) this.#kept.set(`draft/${id}`, { text, reply_to: replyTo, at: Date.now() });
    else this.#kept.drop(`draft/${id}`);
  }

  // What another device has begun later than this one; null when there is no such thing.
  async read(id) {
    try {
      const draft = await this.#polis.call("GetMessageDraft", { conversation_id: id });
      this.#saved.set(id, draft.text);
      return Date.parse(draft.updated_at) > (this.local(id)?.at ?? 0) ? draft : null;
    } catch {
      return null; // there is none, or it cannot be known now
    }
  }

  keep(id, text, replyTo) {
    this.keepLocal(id, text, replyTo);
    if ((this.#saved.get(id) ?? "") === text) return;
    this.#bound();
    const fields = { conversation_id: id, ...(text && { text }), ...(text && replyTo && { reply_to: replyTo }) };
    this.#saved.set(id, text);
    this.#polis.call(text ? "KeepMessageDraft" : "DropMessageDraft", fields).catch(() => this.#saved.delete(id));
  }

  drop(id) {
    this.keep(id, "", null);
  }

  #bound() {
    const names = this.#kept.names("draft/");
    if (names.length <= MOST) return;
    const byAge = names.map((name) => [this.#kept.get(name)?.at ?? 0, name]).sort(([a], [b]) => a - b);
    for (const [, name] of byAge.slice(0, names.length - MOST)) this.#kept.drop(name);
  }
}
