// What this browser keeps of somebody: texts that were begun, messages that are on their way. Where nothing may be kept, for as
// long as the page is open.

export class Kept {
  #prefix;
  #memory = new Map();

  constructor(who) {
    this.#prefix = `polis.chat/${who}/`;
  }

  get(name) {
    try {
      return JSON.parse(this.#memory.get(name) ?? localStorage.getItem(this.#prefix + name));
    } catch {
      return null;
    }
  }

  set(name, value) {
    const text = JSON.stringify(value);
    try {
      localStorage.setItem(this.#prefix + name, text);
      this.#memory.delete(name);
    } catch {
      this.#memory.set(name, text);
    }
  }

  drop(name) {
    this.#memory.delete(name);
    try {
      localStorage.removeItem(this.#prefix + name);
    } catch {
      // It was in memory alone.
    }
  }

  // The names that begin so.
  names(start) {
    const found = new Set([...this.#memory.keys()].filter((name) => name.startsWith(start)));
    try {
      for (const key of Object.keys(localStorage)) {
        if (key.startsWith(this.#prefix + start)) found.add(key.slice(this.#prefix.length));
      }
    } catch {
      // Nothing is kept.
    }
    return [...found];
  }

  clear() {
    for (const name of this.names("")) this.drop(name);
  }
}
