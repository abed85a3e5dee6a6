// Whether this page hears of anything, told as it is.

import { at } from "/chat/element.js";

export class Link {
  #wake = null;
  #heard;

  // heard: called whenever the connection is there again.
  constructor(heard) {
    this.#heard = heard;
    addEventListener("offline", () => this.#show("You are offline. What you write is kept and sent later."));
    addEventListener("online", () => {
      this.#show("Connecting…");
      this.#wake?.();
      this.#heard();
    });
    if (!navigator.onLine) this.#show("You are offline. What you write is kept and sent later.");
  }

  live() {
    const was = !at("connection").hidden;
    this.#show("");
    if (was) this.#heard();
  }

  lost() {
    if (navigator.onLine) this.#show("The connection is lost; trying again. What you write is kept and sent later.");
  }

  // Waits before another attempt, or until the browser is online again.
  again(ms) {
    return new Promise((done) => {
      const timer = setTimeout(done, ms);
      this.#wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  }

  #show(text) {
    if (at("connection").textContent !== text) at("connection").textContent = text;
    at("connection").hidden = !text;
  }
}
