// The part of a conversation that is held: messages, and what else was heard, in the order of their numbers. It is bounded: what
// is added at one end beyond that falls out at the other.

export const MOST = 300;

export class Window {
  items = [];
  // Whether there may be more at either end.
  older = false;
  newer = false;

  reset(messages, { older, newer }) {
    this.items = messages.map(ofMessage);
    this.older = older;
    this.newer = newer;
  }

  get first() {
    return this.items[0]?.seq ?? 0;
  }

  get last() {
    return this.items.at(-1)?.seq ?? 0;
  }

  message(seq) {
    return this.items[this.#place(seq)]?.message ?? null;
  }

  // Messages before the first; none: that was the beginning. first: which one it was when they were asked for: before another
  // one, they would leave a gap.
  before(messages, first = this.first) {
    if (first !== this.first) return;
    const fresh = messages.filter(({ seq }) => seq < this.first || !this.items.length);
    this.older = fresh.length > 0;
    this.items = [...fresh.map(ofMessage), ...this.items];
    this.newer ||= this.items.length > MOST;
    this.items.length = Math.min(this.items.length, MOST);
  }

  // Messages behind the last. last: which one it was when they were asked for.
  after(messages, { newer, last = this.last }) {
    if (last !== this.last) return;
    this.items.push(...messages.filter(({ seq }) => seq > this.last).map(ofMessage));
    this.newer = newer;
    this.#trim();
  }

  // What was heard just now: it is held where the newest are.
  add(item) {
    if (this.newer || item.seq <= this.last) return;
    this.items.push(item);
    this.#trim();
  }

  // A message as it is by now, if it is held.
  put(message) {
    const at = this.#place(message.seq);
    if (this.items[at]?.message) this.items[at] = { ...this.items[at], message };
  }

  #trim() {
    const surplus = this.items.length - MOST;
    if (surplus <= 0) return;
    this.items.splice(0, surplus);
    this.older = true;
  }

  #place(seq) {
    let [low, high] = [0, this.items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.items[middle].seq < seq) low = middle + 1;
      else high = middle;
    }
    return this.items[low]?.seq === seq ? low : -1;
  }
}

const ofMessage = (message) => ({ seq: message.seq, message });
