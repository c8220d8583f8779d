// The shopper's orders: which screen shows, what is kept for later, and the pieces that all screens are made of.
// Loaded when it is first opened; a chat carries nothing of it.
import { announce, el, iconButton } from "../panel/dom.js";
import { config, t } from "../panel/words.js";
import { arrive } from "./account.js";
import { back } from "./back.js";
import { call, code, find } from "./find.js";
import { made } from "./made.js";
import { list, order, problem } from "./order.js";
import { action, part, patience } from "./pieces.js";

/** What few shoppers open comes when it is opened. */
const changing = (name) => async (orders, given) => (await import("./change.js"))[name](orders, given);
const sure = changing("sure");

const SCREENS = {
  list,
  find,
  code,
  call,
  order,
  problem,
  back,
  made,
  told,
  cancel: changing("cancel"),
  address: changing("address"),
  change: changing("change"),
  // What was looked at is not kept: who comes back to it later finds the order.
  sure: (orders, given) => (orders.meant?.id === given.id ? sure : order)(orders, given),
  doing: changing("doing"),
  refused: changing("refused"),
  again: changing("again"),
};

/** The end of something: what happens next, and where the answer comes. */
async function told(orders, { words }) {
  return { title: t("o.thanks"), nodes: [part("", el("p", { class: "notice good" }, words), action(t("o.to_chat"), () => orders.chat()), action(t("o.mine"), () => orders.go("list"), { quiet: true }))] };
}

function dress() {
  const sheet = new URL("../orders.css", import.meta.url).href;
  if (document.querySelector(`link[href="${sheet}"]`)) return;
  return new Promise((done) => document.head.append(el("link", { rel: "stylesheet", href: sheet, on: { load: done, error: done } })));
}

export const orders = (around) => new Orders(around);

class Orders {
  #words = null;
  #at = null; // {name, given}
  #turn = 0;
  #before = [];

  /** `home()`, `chat()` and `close()` lead elsewhere; `keep(text|null)` keeps where the shopper is; `page`: it is all there is. */
  constructor({ api, kept, keep, home, chat, close, top, page = false }) {
    Object.assign(this, { api, home, chat, close, page, top });
    this.keep = keep;
    this.body = el("div", { class: "body" });
    this.title = el("h1", { tabindex: "-1" });
    this.backwards = iconButton("arrow-left", config.strings["chat.back"], () => this.back());
    this.view = el(
      "section",
      { class: "orders" },
      el("header", { class: "bar" }, this.backwards, this.title, config.page && el("bdi", { class: "shop" }, config.shop), !page && iconButton("x", config.strings.close, close)),
      this.body,
    );
    try {
      this.state = JSON.parse(kept) ?? {};
    } catch {
      this.state = {}; // of another version of us, or nothing
    }
  }

  /** Open where the shopper left, `to` a return by its id, or `to` the screen that a card leads to. */
  async open(to = "") {
    await Promise.all([this.#load(), dress()]);
    await arrive(this);
    if (to?.screen) {
      this.#before = [{ name: "list", given: {} }];
      if (to.given.number) this.remember({ number: to.given.number });
      return this.go(to.screen in SCREENS ? to.screen : "list", to.given, { instead: true });
    }
    if (to) return this.go("made", { id: to });
    const { screen, given } = this.state.at ?? {};
    if (screen in SCREENS && screen !== "list") this.#before = [{ name: "list", given: {} }];
    return this.go(screen in SCREENS ? screen : "list", given ?? {}, { fresh: false });
  }

  async #load() {
    if (this.#words) return;
    this.#words = await this.api.get(`orders/words?locale=${config.locale}`);
    Object.assign(config.strings, this.#words);
  }

  /** Remember a part of what was typed or chosen; null forgets it. */
  remember(part) {
    Object.assign(this.state, part);
    this.keep(JSON.stringify(this.state));
  }

  /** Show a screen. `fresh` false: it is where they were. `instead`: the one they come from is not gone back to. */
  async go(name, given = {}, { fresh = true, instead = false } = {}) {
    if (fresh && this.#at && !instead) this.#before.push(this.#at);
    this.#at = { name, given };
    this.remember({ at: { screen: name, given } });
    const turn = ++this.#turn;
    this.#frame();
    const slow = setTimeout(() => turn === this.#turn && this.body.replaceChildren(skeleton()), 150);
    try {
      const { title, nodes, after } = await SCREENS[name](this, given);
      if (turn !== this.#turn) return;
      this.title.textContent = title;
      this.body.replaceChildren(...nodes.filter(Boolean));
      this.body.scrollTop = 0;
      after?.();
    } catch (error) {
      if (turn !== this.#turn) return;
      if (error.code === "order_unproven" && name !== "find") {
        this.#before = [];
        this.remember({ back: null });
        return this.go("find", { why: error.message }, { instead: true });
      }
      if (error.code === "self_closed") {
        this.title.textContent = t("o.closed");
        return this.body.replaceChildren(part("", el("p", { class: "notice" }, `${error.message} ${error.hint}`), action(t("o.to_chat"), () => this.chat())));
      }
      this.body.replaceChildren(trouble(error, () => this.go(name, given, { fresh: false })));
    } finally {
      clearTimeout(slow);
    }
    if (this.view.isConnected) this.focus();
    if (this.page) this.top();
  }

  /** The screen before; from the first one to the panel's own beginning. */
  back() {
    const { name, given } = this.#at ?? {};
    if (name === "back" && given.step > 1) return this.go("back", { ...given, step: given.step - 1 }, { instead: true });
    const before = this.#before.pop();
    if (before) return this.go(before.name, before.given, { instead: true });
    if (this.page) return this.go("list", {}, { instead: true });
    this.remember({ at: null });
    this.home();
  }

  /** Something was told to the shop: there is no way back into its form. */
  told(words) {
    this.#before = [{ name: "list", given: {} }];
    return this.go("told", { words }, { instead: true });
  }

  /** Something was confirmed: there is no way back to before it. */
  settled(id) {
    this.#before = [{ name: "list", given: {} }, { name: "order", given: { id } }];
    this.#at = null;
  }

  /** A return was made: from it one goes to the list. */
  finished(id) {
    this.#before = [{ name: "list", given: {} }];
    this.remember({ back: null });
    return this.go("made", { id }, { instead: true });
  }

  focus() {
    this.title.focus({ preventScroll: true });
  }

  #frame() {
    this.backwards.hidden = this.page && this.#before.length === 0 && ["list", "find"].includes(this.#at.name);
  }
}

function skeleton() {
  announce(t("o.loading"));
  return el("div", {}, el("div", { class: "bones", "aria-hidden": "true" }, el("i"), el("i"), el("i")), patience());
}

function trouble(error, again) {
  const words = error.message ? [error.message, error.hint].filter(Boolean).join(" ") : t("o.failed");
  return el("div", { class: "part" }, el("p", { class: "error", role: "alert" }, words), action(t("o.again"), again));
}
