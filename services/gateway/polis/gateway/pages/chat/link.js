// Whether this page hears of anything, told as it is.

import { at } from "./element.js";

const OFFLINE = "You are offline. What you write is kept and sent later.";
const LOST = "The connection is lost; trying again. What you write is kept and sent later.";

export class Link {
  #heard;
  #lost = false;

  // heard: is called whenever the connection is there again.
  constructor(heard) {
    this.#heard = heard;
    addEventListener("offline", () => this.#show());
    addEventListener("online", () => {
      this.#show();
      heard();
    });
    this.#show();
  }

  // What a follower says of its connection; whether it has come back.
  told(state) {
    const back = this.#lost && state === "live";
    this.#lost = state === "lost";
    this.#show();
    if (back) this.#heard();
    return back;
  }

  #show() {
    const text = navigator.onLine ? (this.#lost ? LOST : "") : OFFLINE;
    if (at("connection").textContent !== text) at("connection").textContent = text;
    at("connection").hidden = !text;
  }
}
