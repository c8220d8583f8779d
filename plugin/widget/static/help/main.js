// The help centre in the panel: topics, answers while typing, one article; the chat is one touch away from each.
// Loaded when it is first opened; a chat carries nothing of it.
import { announce, el, icon, iconButton } from "../panel/dom.js";
import { config, t } from "../panel/words.js";

const SETTLED = 1500; // ms without a key: that was the question

/** Ask the help centre for one of its answers. */
async function get(path, values, signal) {
  const query = new URLSearchParams({ language: config.locale, ...values });
  const answer = await fetch(`${config.base}/help/${config.store}/${path}.json?${query}`, { credentials: "omit", signal });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

/** Its style and its words come first. `chat()` and `home()` lead away, `close()` closes the panel. */
export async function help(leave) {
  const sheet = new URL("../help.css", import.meta.url).href;
  const dressed = new Promise((done) => document.head.append(el("link", { rel: "stylesheet", href: sheet, on: { load: done, error: done } })));
  const [{ shelves, strings }] = await Promise.all([get("home", {}), dressed]);
  Object.assign(config.strings, strings);
  return new Help(leave, shelves);
}

class Help {
  #asking = null;
  #timer = 0;
  #trail = []; // what Back leads to, the latest last

  constructor({ chat, home, close }, shelves) {
    this.leave = { chat, home, close };
    this.shelves = shelves;
    this.body = el("div", { class: "help-body" });
    this.title = el("h1", { class: "help-title", tabindex: "-1" }, t("help.title"));
    this.field = el("input", {
      type: "search",
      class: "help-search",
      dir: "auto",
      maxlength: 200,
      "aria-label": t("help.search"),
      placeholder: t("help.search"),
      on: { input: () => this.#typed() },
    });
    this.view = el(
      "section",
      { class: "help-view" },
      el("header", { class: "help-bar" }, iconButton("arrow-left", t("chat.back"), () => this.back(), { class: "flips" }), this.title, iconButton("x", t("close"), close)),
      this.body,
      el("footer", { class: "help-foot" }, el("button", { type: "button", class: "help-chat", on: { click: chat } }, icon("message-circle"), t("help.ask"))),
    );
    this.#topics();
  }

  focus() {
    this.title.focus({ preventScroll: true });
  }

  back() {
    const before = this.#trail.pop();
    if (!before) return this.leave.home();
    before();
    this.focus();
  }

  #put(title, ...children) {
    this.title.textContent = title;
    this.body.replaceChildren(...children.filter(Boolean));
    this.body.scrollTop = 0;
  }

  #line({ title, slug, language, where }) {
    const words = typeof title === "string" ? title : title.map(([text, found]) => (found ? el("mark", {}, text) : text));
    return el(
      "li",
      {},
      el("button", { type: "button", class: "help-line", on: { click: () => this.#article(slug, language) } }, el("span", { dir: "auto" }, words, where && el("small", {}, where)), icon("chevron-right")),
    );
  }

  #topics() {
    const list = el("div", { class: "help-list" });
    this.list = list;
    this.#put(t("help.title"), this.field, list);
    if (this.field.value.trim().length > 1) return this.#look(false);
    list.replaceChildren(
      ...this.shelves.flatMap(({ name, articles, all }) => [
        (name || this.shelves.length > 1) && el("h2", { dir: "auto" }, name || t("help.more")),
        el("ul", {}, articles.map((one) => this.#line(one))),
        all && el("a", { class: "help-line help-all", href: all.address, target: "_blank", rel: "noopener noreferrer" }, el("span", {}, all.words), icon("chevron-right")),
      ]).filter(Boolean),
    );
    if (!this.shelves.length) list.replaceChildren(el("p", { class: "help-none" }, t("help.empty")));
  }

  #typed() {
    clearTimeout(this.#timer);
    if (this.field.value.trim().length < 2) {
      this.#asking?.abort();
      this.#topics();
      return this.field.focus();
    }
    this.#look(false);
    this.#timer = setTimeout(() => this.#look(true), SETTLED);
  }

  async #look(settled) {
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    const { list } = this;
    try {
      const { found } = await get("search", { q: this.field.value.trim(), ...(settled ? { settled: "1" } : {}) }, asking.signal);
      if (asking.signal.aborted || this.list !== list) return;
      list.replaceChildren(found.length ? el("ul", {}, found.map((one) => this.#line(one))) : el("p", { class: "help-none" }, t("help.none")));
      if (!found.length && settled) announce(t("help.none"));
    } catch {
      // Typed on meanwhile, or no connection: the next letter asks again.
    }
  }

  /** An article that a card in the chat leads to: back leads to the chat. */
  open({ slug, language }) {
    return this.#article(slug, language, this.leave.chat);
  }

  async #article(slug, language = config.locale, from = null) {
    let one;
    try {
      one = await get("article", { slug, language });
    } catch {
      return announce(t("help.failed"));
    }
    const shown = this.body.firstElementChild;
    const at = this.body.scrollTop;
    // Back to where the list was, as it was.
    if (from) this.#trail.push(from);
    else if (shown === this.field) this.#trail.push(() => (this.#put(t("help.title"), this.field, this.list), (this.body.scrollTop = at)));
    // The server's sanitiser made it; nothing in a parsed document runs.
    const words = new DOMParser().parseFromString(one.html, "text/html").body;
    for (const link of words.querySelectorAll("a[href]")) Object.assign(link, { target: "_blank", rel: "noopener noreferrer" });
    this.#put(one.title, el("article", { class: "help-article", lang: one.language, dir: one.direction }, ...words.childNodes), this.#vote(one));
    this.title.dir = "auto";
    this.focus();
  }

  #vote({ id, language }) {
    const box = el("div", { class: "help-vote", role: "group", "aria-label": t("help.helped") }, el("span", {}, t("help.helped")));
    const told = (words) => box.replaceChildren(el("span", { role: "status" }, words));
    const say = (helped) => async () => {
      told(t(helped === "yes" ? "help.thanks" : "help.sorry"));
      const why = await tell({ article: id, language, helped });
      if (why) this.#why(box, why);
    };
    box.append(el("button", { type: "button", on: { click: say("yes") } }, t("help.yes")), el("button", { type: "button", on: { click: say("no") } }, t("help.no")));
    return box;
  }

  /** What was wrong with it: the reasons come with the answer to the vote, in its language. */
  #why(box, form) {
    const vote = form.querySelector("[name=vote]").value;
    const reasons = [...form.querySelectorAll("[name=reason]")].map((one) =>
      el("button", { type: "button", on: { click: () => (tell({ vote, reason: one.value }), box.replaceChildren(el("span", { role: "status" }, t("help.sorry")))) } }, one.closest("label").textContent.trim()),
    );
    box.replaceChildren(el("span", { role: "status" }, form.querySelector("h2").textContent), ...reasons);
  }
}

/** Send what a shopper thinks of an article; the form that asks for more, if there is one. Lost without harm. */
async function tell(said) {
  const body = new URLSearchParams({ ...said, json: "1" });
  try {
    const answer = await fetch(`${config.base}/help/${config.store}/feedback`, { method: "POST", body, credentials: "omit" });
    const { html } = await answer.json();
    return new DOMParser().parseFromString(html, "text/html").querySelector("[data-why]");
  } catch {
    return null;
  }
}
