// The conversation as this visitor knows it. The server numbers messages without gaps; this remembers which are here.

export class Thread {
  constructor() {
    this.reset();
  }

  reset() {
    this.id = null;
    this.status = null;
    this.closed = false; // whoever writes here is blocked
    this.messages = new Map(); // by seq
    this.last = 0; // every message from `first` to `last` is here
    this.first = 1;
    this.seen = 0; // agents have read up to here
    this.read = 0; // the shopper has read up to here, on any device
    this.mark = null; // up to which change of earlier messages this is the truth; null: nothing was read yet
    this.rating = null; // what is asked, or was said, about a conversation that was resolved
  }

  /** Add older messages in front. */
  older(messages) {
    for (const message of messages) this.messages.set(message.seq, message);
    this.first = messages[0]?.seq ?? 1;
  }

  /** Take a message in. Returns true when it is new here; an edit replaces the one it edits. */
  accept(message) {
    if (message.seq < this.first) return false; // changed, but not loaded yet: it will come as it is
    const fresh = !this.messages.has(message.seq);
    this.messages.set(message.seq, message);
    this.#advance();
    return fresh;
  }

  #advance() {
    while (this.messages.has(this.last + 1)) this.last += 1;
  }

  /** Is something missing between what is here without a gap and `seq`? */
  gap(seq = Math.max(0, ...this.messages.keys())) {
    return seq > this.last;
  }

  /** In order. */
  list() {
    return [...this.messages.values()].sort((a, b) => a.seq - b.seq);
  }

  newest() {
    return this.messages.get(this.last) ?? null;
  }
}
