// Messages on their way. Each is kept by the storefront page until the server has it, so nothing typed is ever lost;
// each carries an id of its own, so sending twice is receiving once.
import { Refused } from "./api.js";

export class Outbox {
  items = []; // {client_id, text, attachments, reply?, at, state: "sending" | "waiting" | "failed", reason?}
  #deliver;
  #keep;
  #changed;
  #delivered;
  #busy = false;
  #timer = null;
  #tries = 0;

  /**
   * `deliver(item)` resolves to the server's message; `keep(key, text|null)` persists; `changed()` redraws;
   * `delivered(message)` takes over.
   */
  constructor({ deliver, keep, changed, delivered }) {
    this.#deliver = deliver;
    this.#keep = keep;
    this.#changed = changed;
    this.#delivered = delivered;
  }

  /** Take up what an earlier page view left behind. */
  restore(kept) {
    for (const [key, text] of Object.entries(kept)) {
      if (!key.startsWith("out:")) continue;
      try {
        const item = JSON.parse(text);
        if (!this.items.some((other) => other.client_id === item.client_id)) this.items.push({ ...item, state: "waiting" });
      } catch {
        this.#keep(key, null);
      }
    }
    this.items.sort((a, b) => a.at.localeCompare(b.at));
  }

  add({ text, attachments = [], reply }) {
    const item = { client_id: crypto.randomUUID(), text, attachments, reply, at: new Date().toISOString() };
    this.#keep(`out:${item.client_id}`, JSON.stringify(item));
    this.items.push({ ...item, state: "sending" });
    this.#changed();
    this.flush();
  }

  retry(item) {
    item.state = "sending";
    this.#tries = 0;
    this.#changed();
    this.flush();
  }

  /** The server has it, as we learn from an answer, from the socket or from another tab. */
  settle(clientId) {
    const at = this.items.findIndex((item) => item.client_id === clientId);
    if (at < 0) return;
    this.items.splice(at, 1);
    this.#keep(`out:${clientId}`, null);
  }

  discard(item) {
    this.settle(item.client_id);
    this.#changed();
  }

  /** Send what waits, oldest first, one at a time so that order holds. */
  async flush() {
    if (this.#busy) return;
    this.#busy = true;
    clearTimeout(this.#timer);
    try {
      let item;
      while ((item = this.items.find(({ state }) => state !== "failed"))) {
        if (item.state === "waiting") {
          item.state = "sending";
          item.reason = undefined;
          this.#changed();
        }
        const message = await this.#deliver(item);
        this.#tries = 0;
        this.settle(item.client_id);
        this.#delivered(message);
      }
    } catch (error) {
      this.#stumble(error);
    } finally {
      this.#busy = false;
    }
  }

  #stumble(error) {
    const item = this.items.find(({ state }) => state === "sending");
    if (error instanceof Refused && error.final && item) {
      item.state = "failed";
      item.reason = error.message;
      this.#timer = setTimeout(() => this.flush(), 0); // the ones behind it may still go
    } else {
      for (const other of this.items) if (other.state === "sending") other.state = "waiting";
      if (item) item.reason = error.status === 429 ? error.message : undefined; // a queue of ours is no lost connection
      const pause = error.again || Math.min(30, 2 ** this.#tries++) * (0.5 + Math.random() / 2);
      this.#timer = setTimeout(() => this.flush(), pause * 1000);
    }
    this.#changed();
  }
}
