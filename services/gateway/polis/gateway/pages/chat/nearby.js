// The conversations at the top of the list: what is said in them is counted while another one is open, or none.

export const MOST = 20;
const WISHES = { kinds: ["posted", "changed", "mark"], fields: ["entry.kind", "entry.at", "entry.actor_id", "entry.conversation", "mark"], attempts: Infinity };

export class Nearby {
  #polis;
  #heard;
  #followed = new Map();

  // heard: is told what happens, by its conversation and its number: what was said, without its text, how it is called by now, who has read it.
  constructor(polis, heard) {
    this.#polis = polis;
    this.#heard = heard;
  }

  // Follows the first of these, each behind what is known of it, and no others.
  follow(conversations) {
    const wanted = new Map(conversations.slice(0, MOST).map((each) => [each.id, each]));
    for (const [id, { stop }] of this.#followed) if (!wanted.has(id)) stop.abort();
    for (const [id, { head_seq: seq }] of wanted) {
      if (this.#followed.has(id)) continue;
      const stop = new AbortController();
      this.#followed.set(id, { stop, over: this.#hear(id, seq, stop.signal) });
    }
  }

  // Leaves one to somebody who follows all of it.
  async leave(id) {
    const followed = this.#followed.get(id);
    followed?.stop.abort();
    await followed?.over;
  }

  async #hear(id, after, signal) {
    try {
      for await (const { seq, data } of this.#polis.follow(`conversation/${id}`, { ...WISHES, after, signal })) {
        if (data.entry || data.mark) this.#heard(id, seq, data);
      }
    } catch {
      // It was left, or may be seen no more: the list is told so itself.
    } finally {
      this.#followed.delete(id);
    }
  }
}
