// Conversations of which one wants to be told nothing outside of the chat, and which count in no title.

export class Muted {
  #polis;
  #tell;
  #ids = new Set();

  // tell: is called when it has changed.
  constructor(polis, tell) {
    this.#polis = polis;
    this.#tell = tell;
  }

  has(id) {
    return this.#ids.has(id);
  }

  async read() {
    this.#take(await this.#polis.call("GetNotificationPreferences"));
  }

  // What else is wanted stays as it is by now.
  async set(id, muted) {
    const { about, mail, hook, quiet, not_of: known = [] } = await this.#polis.call("GetNotificationPreferences");
    const others = known.filter((each) => each !== id);
    this.#take(await this.#polis.call("SetNotificationPreferences", { about, mail, hook, quiet, not_of: muted ? [...others, id] : others }));
  }

  #take({ not_of: ids = [] }) {
    this.#ids = new Set(ids);
    this.#tell();
  }
}
