// The only door to the storefront page: messages from the window around us, from an origin that belongs to the store.
import { config } from "./words.js";

export class Bridge extends EventTarget {
  #origin = null;
  #identity = null;
  open = false;
  full = false;

  constructor() {
    super();
    addEventListener("message", (event) => this.#hear(event));
    if (config.page && parent === window) setTimeout(() => this.#alone());
  }

  /** A page of its own, on our own address: nobody around us keeps anything, so we do. */
  #alone() {
    const prefix = `ahlan:${config.store}:`;
    const kept = Object.fromEntries(["secret", "flow"].map((key) => [key, localStorage.getItem(prefix + key)]));
    this.keep = (key, value) => (value ? localStorage.setItem(prefix + key, value) : localStorage.removeItem(prefix + key));
    this.open = true;
    this.dispatchEvent(new CustomEvent("hello", { detail: { kept, screen: config.page.screen, back: config.page.back } }));
  }

  #hear({ source, origin, data }) {
    if (source !== parent || parent === window || !config.origins.includes(origin)) return;
    if (this.#origin && origin !== this.#origin) return;
    switch (data?.type) {
      case "ahlan:hello":
        if (this.#origin) return;
        this.#origin = origin;
        this.open = data.open === true;
        this.full = data.full === true;
        this.tell({ type: "ahlan:ready" }); // what is asked of it from now on is answered
        this.dispatchEvent(new CustomEvent("hello", { detail: data }));
        return;
      case "ahlan:visible":
        if (this.open === data.open && this.full === data.full) return;
        this.open = data.open === true;
        this.full = data.full === true;
        this.dispatchEvent(new Event("visible"));
        return;
      case "ahlan:page":
        this.dispatchEvent(new CustomEvent("page", { detail: data.page }));
        return;
      case "ahlan:identity":
        if (this.#identity) this.#identity(data.identity);
        else if (data.identity !== undefined) this.dispatchEvent(new CustomEvent("vouched", { detail: data.identity }));
        this.#identity = null;
    }
  }

  tell(message) {
    if (this.#origin) parent.postMessage(message, this.#origin);
  }

  /** Keep a text in the storefront's own storage, under this store; null forgets it. */
  keep(key, value) {
    this.tell({ type: "ahlan:keep", key, value });
  }

  close() {
    this.tell({ type: "ahlan:close" });
  }

  /**
   * A fresh proof of who is signed in on the shop: null for nobody, undefined when it could not be asked in time. What a
   * slow shop says after that, also that it is nobody, comes as the event "vouched".
   */
  identity() {
    if (!this.#origin) return Promise.resolve();
    return new Promise((resolve) => {
      this.#identity = resolve;
      setTimeout(() => {
        if (this.#identity === resolve) this.#identity = null;
        resolve();
      }, 3000);
      this.tell({ type: "ahlan:identity" });
    });
  }
}
