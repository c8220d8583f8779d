// The conversation as a scrolling list. Bubbles are built once and moved, never rebuilt while they are read aloud.
import { bubble, meta } from "./bubble.js";
import { el, icon } from "./dom.js";
import { day, duration, plural, t } from "./words.js";

const CLUSTER = 5 * 60e3; // messages of one person this close together are one thought

export class Log {
  #state;
  #actions;
  #built = new Map(); // key → {node, body, under}
  #days = new Map();
  #fresh = 0; // arrived while the reader was scrolled up
  #bottom = true;
  #loading = false;

  /** `actions`: retry(item), discard(item), older() → bool, fresh(id) → file, reply(choice), sign(message, sign, on), rate(score, comment). */
  constructor(state, actions) {
    this.#state = state;
    this.#actions = actions;
    this.older = el("button", { type: "button", class: "older link", hidden: true, on: { click: () => this.#older() } }, t("chat.older"));
    this.intro = el("p", { class: "intro" }, t("chat.intro"));
    this.list = el("div", { class: "list", role: "log", "aria-live": "polite", "aria-relevant": "additions", "aria-label": t("chat.log") });
    this.typing = el("div", { class: "message agent typing", hidden: true });
    this.replies = el("div", { class: "replies", role: "group", "aria-label": t("chat.replies"), hidden: true });
    this.rated = el("div");
    this.place = el("p", { class: "place", role: "status", hidden: true });
    this.scroller = el("div", { class: "scroller", tabindex: "0", on: { scroll: () => this.#scrolled() } }, this.older, this.intro, this.list, this.typing, this.replies, this.rated, this.place);
    this.pill = el("button", { type: "button", class: "pill", hidden: true, on: { click: () => this.toEnd(true) } });
    this.view = el("div", { class: "log" }, this.scroller, this.pill);
    new ResizeObserver(() => this.#bottom && this.toEnd()).observe(this.scroller);
    this.list.addEventListener("load", () => this.#bottom && this.toEnd(), true); // pictures that arrive late
  }

  get atEnd() {
    return this.#bottom;
  }

  /** Bring the screen in line with the state. `arrived`: how many messages of others are new. */
  draw(arrived = 0) {
    const { thread, outbox } = this.#state;
    const entries = [
      ...thread.list().map((message) => ({ message, key: message.client_id ?? `#${message.seq}` })),
      ...outbox.items.map((item) => ({ message: { ...item, author: "shopper" }, item, key: item.client_id })),
    ];
    const wanted = [];
    const keys = new Set();
    let before = null;
    entries.forEach((entry, index) => {
      const { message } = entry;
      const next = entries[index + 1]?.message;
      const label = day(new Date(message.at));
      if (!before || label !== day(new Date(before.at))) wanted.push(this.#day(label));
      const node = this.#node(entry);
      keys.add(entry.key);
      node.classList.toggle("first", !together(before, message));
      node.classList.toggle("last", !together(message, next));
      wanted.push(node);
      before = message;
    });
    for (const key of this.#built.keys()) if (!keys.has(key)) this.#built.delete(key);
    this.#place(wanted);
    this.intro.hidden = entries.length > 0;
    this.older.hidden = thread.first <= 1;
    this.#offer(entries[entries.length - 1]?.message);
    this.#rate(outbox.items.length ? null : thread.rating);
    if (this.#bottom) this.toEnd();
    else if (arrived) this.#fresh += arrived;
    this.#point();
  }

  /** How many are before this shopper, and how long it takes: `{position, minutes|null}`; null: nothing is known. */
  showPlace(found) {
    const before = found && (found.position > 1 ? plural("chat.before", found.position - 1) : t("chat.next"));
    const words = found ? [before, found.minutes && t("chat.wait", { time: duration(found.minutes) })].filter(Boolean).join(" ") : "";
    if (this.place.textContent !== words) this.place.textContent = words;
    this.place.hidden = !words;
    if (this.#bottom) this.toEnd();
  }

  /** Someone is writing; null when not. */
  showTyping(name) {
    if (this.typing.hidden === !name) return;
    this.typing.hidden = !name;
    const dots = el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
    this.typing.replaceChildren(...(name ? [el("div", { class: "stack" }, el("p", { class: "text" }, dots, el("span", { class: "unseen" }, t("chat.typing", { name }))))] : []));
    if (this.#bottom) this.toEnd();
  }

  toEnd(gently = false) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.scroller.scrollTo({ top: this.scroller.scrollHeight, behavior: gently && !calm ? "smooth" : "instant" });
    this.#bottom = true;
    this.#fresh = 0;
    this.#point();
  }

  #node({ message, item, key }) {
    const { thread, outbox } = this.#state;
    const { text, attachments, edited_at, deleted_at, cards, link, signs } = message;
    const pictured = [...(cards ?? []), link].map((one) => [one?.id, one?.title, one?.picture?.id]);
    const body = JSON.stringify([text, attachments?.map(({ id }) => id), edited_at, deleted_at, pictured, signs, message.seq && 1]);
    let built = this.#built.get(key);
    if (!built || built.body !== body) {
      const node = bubble(message, this.#actions.fresh, this.#actions.sign);
      const held = built?.node.contains(document.activeElement);
      built?.node.replaceWith(node);
      if (held) node.querySelector("button")?.focus();
      built = { node, body };
      this.#built.set(key, built);
    }
    if (message.author === "system") return built.node;
    const newestOwn = !item && message.author === "shopper" && !thread.list().some(({ author, seq }) => author === "shopper" && seq > message.seq) && outbox.items.length === 0;
    const state = item ? item.state : newestOwn ? (thread.seen >= message.seq ? "seen" : "sent") : null;
    const under = JSON.stringify([state, message.at, message.edited_at, item?.reason]);
    if (built.under !== under) {
      built.under = under;
      built.node.classList.toggle("stated", state !== null);
      built.node.querySelector(".meta").replaceChildren(
        ...meta(message, state, { retry: () => this.#actions.retry(item), remove: () => this.#actions.discard(item) }),
      );
    }
    return built.node;
  }

  #day(label) {
    if (!this.#days.has(label)) this.#days.set(label, el("p", { class: "day" }, el("span", {}, label)));
    return this.#days.get(label);
  }

  #place(wanted) {
    const keep = new Set(wanted);
    for (const node of [...this.list.children]) if (!keep.has(node)) node.remove();
    wanted.forEach((node, index) => {
      const here = this.list.children[index];
      if (here !== node) this.list.insertBefore(node, here ?? null);
    });
  }

  /** How it was comes as a part of its own. */
  async #rate(asked) {
    this.asked = asked;
    if (!asked && !this.rating) return;
    const { Rating } = await import("../rating/main.js");
    if (!this.rating) this.rated.replaceWith((this.rating = new Rating(this.#actions.rate)).view);
    this.rating.draw(this.asked);
  }

  #offer(message) {
    const choices = message?.author !== "shopper" ? (message?.replies ?? []) : [];
    const key = JSON.stringify(choices);
    if (this.replies.dataset.key === key) return;
    this.replies.dataset.key = key;
    this.replies.hidden = choices.length === 0;
    this.replies.replaceChildren(...choices.map((choice) => el("button", { type: "button", class: "chip", dir: "auto", on: { click: () => this.#actions.reply(choice) } }, choice.text)));
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.#bottom = scrollHeight - scrollTop - clientHeight < 60;
    if (this.#bottom) this.#fresh = 0;
    this.#point();
    this.#actions.looked();
    if (scrollTop < 40 && !this.older.hidden && this.older.dataset.failed === undefined) this.#older();
  }

  #point() {
    this.pill.hidden = this.#bottom;
    this.pill.replaceChildren(icon("arrow-down"), ...(this.#fresh ? [plural("home.unread", this.#fresh)] : [el("span", { class: "unseen" }, t("chat.down"))]));
    this.pill.classList.toggle("news", this.#fresh > 0);
  }

  async #older() {
    if (this.#loading) return;
    this.#loading = true;
    delete this.older.dataset.failed;
    const height = this.scroller.scrollHeight;
    this.list.setAttribute("aria-live", "off"); // old messages are not news
    const loaded = await this.#actions.older();
    this.older.textContent = t(loaded ? "chat.older" : "chat.older_failed");
    if (!loaded) this.older.dataset.failed = "";
    this.scroller.scrollTop += this.scroller.scrollHeight - height;
    requestAnimationFrame(() => this.list.setAttribute("aria-live", "polite"));
    this.#loading = false;
  }
}

function together(one, other) {
  return (
    !!one && !!other && one.author !== "system" && one.author === other.author && one.author_name === other.author_name && new Date(other.at) - new Date(one.at) < CLUSTER && day(new Date(one.at)) === day(new Date(other.at))
  );
}
