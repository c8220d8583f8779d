// Withdrawing from a contract: the statement, a look at it, the confirmation, the receipt. Nobody has to sign in.
// Loaded when it is first opened; a chat carries nothing of it.
import { announce, el, iconButton } from "../panel/dom.js";
import { config, t } from "../panel/words.js";
import { action, complaint, field, form, part } from "../orders/pieces.js";

const ADDRESS = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;
const labels = () => config.withdrawal ?? config.labels;
// The words are the page's own, in any official language of the Union: the rest of the panel speaks fewer.
const stamp = (moment) => {
  const locale = t("w.language") + (config.digits ? `-u-nu-${config.digits}` : "");
  return new Intl.DateTimeFormat(locale, { dateStyle: "long", timeStyle: "long", timeZone: config.time_zone }).format(moment);
};

/** Its style and its words come first. `home()` and `close()` lead away, `top()` shows its beginning; `page`: it is all there is. */
export async function withdrawal(around) {
  const [words] = await Promise.all([around.api.get(`withdrawal/words?locale=${encodeURIComponent(labels().language || config.locale)}`), dress("orders"), dress("withdrawal")]);
  Object.assign(config.strings, words);
  return new Withdrawal(around);
}

function dress(name) {
  const href = new URL(`../${name}.css`, import.meta.url).href;
  if (document.querySelector(`link[href="${href}"]`)) return;
  return new Promise((done) => document.head.append(el("link", { rel: "stylesheet", href, on: { load: done, error: done } })));
}

class Withdrawal {
  #said = { name: "", contract: "", email: "", goods: "" };
  #client = null; // the name of exactly this statement: confirmed twice, it is one

  constructor({ api, name = "", home, close, top, page = false }) {
    Object.assign(this, { api, home, close, top, page });
    this.#said.name = name;
    this.body = el("div", { class: "body" });
    this.title = el("h1", { tabindex: "-1" });
    this.backwards = iconButton("arrow-left", t("w.back"), () => this.back());
    this.view = el(
      "section",
      { class: "orders", lang: t("w.language"), dir: t("w.direction") },
      el("header", { class: "bar" }, this.backwards, this.title, page && el("bdi", { class: "shop" }, config.shop), !page && iconButton("x", t("w.close"), close)),
      this.body,
    );
    this.#statement();
  }

  focus() {
    this.title.focus({ preventScroll: true });
  }

  back() {
    if (this.at === "check") return this.#statement();
    this.home();
    if (this.at === "done") this.#statement();
  }

  #put(at, title, ...nodes) {
    this.at = at;
    this.title.textContent = title;
    this.backwards.hidden = this.page && at !== "check";
    this.body.replaceChildren(...nodes.filter(Boolean));
    this.body.scrollTop = 0;
    if (this.view.isConnected) this.focus();
    if (this.page) this.top();
  }

  #statement() {
    const said = this.#said;
    const { view, say } = complaint();
    const name = field(t("w.name"), { name: "name", dir: "auto", autocomplete: "name", maxlength: 120, value: said.name });
    const contract = field(t("w.contract"), { hint: t("w.contract_hint"), name: "order", dir: "auto", autocomplete: "off", maxlength: 120, value: said.contract });
    const email = field(t("w.email"), { hint: t("w.email_hint"), name: "email", inputmode: "email", dir: "ltr", autocomplete: "email", autocapitalize: "none", spellcheck: "false", maxlength: 200, value: said.email });
    const goods = field(t("w.goods"), { tag: "textarea", name: "goods", rows: "2", dir: "auto", maxlength: 1000 });
    goods.input.value = said.goods;
    const next = action(
      t("w.next"),
      () => {
        const written = { name: name.input.value.trim(), contract: contract.input.value.trim(), email: email.input.value.trim(), goods: goods.input.value.trim() };
        const missing = { name: [name, t("w.missing_name")], contract: [contract, t("w.missing_contract")], email: [email, t("w.missing_email")] };
        for (const [key, [one, words]] of Object.entries(missing)) {
          if (key === "email" ? ADDRESS.test(written[key]) : written[key]) continue;
          return say(words, one.input);
        }
        if (!this.#client || Object.keys(written).some((key) => written[key] !== said[key])) this.#client = crypto.randomUUID();
        this.#said = written;
        this.#check();
      },
      { complain: say, type: "submit" },
    );
    this.#put("statement", labels().label, part("", el("p", { class: "quiet" }, t("w.why")), form(next, name.view, contract.view, email.view, goods.view, view)));
  }

  #check() {
    const said = this.#said;
    const { view, say } = complaint();
    // Only the law's own words stand on it.
    const confirm = action(
      labels().confirm,
      async () => {
        const made = await this.api.post("withdrawal", { client_id: this.#client, ...said, language: labels().language });
        this.#done(made);
      },
      { complain: say },
    );
    const told = [
      [t("w.name"), said.name],
      [t("w.order"), said.contract],
      [t("w.what"), said.goods || t("w.all")],
      [t("w.to"), said.email],
    ];
    this.#put(
      "check",
      t("w.check"),
      part("", el("p", {}, t("w.statement")), el("dl", { class: "facts" }, told.map(([key, value]) => el("div", {}, el("dt", {}, key), el("dd", {}, el("bdi", {}, value)))))),
      part("", el("p", { class: "quiet" }, t("w.not_yet")), view, confirm, action(t("w.change"), () => this.#statement(), { quiet: true })),
    );
  }

  #done({ reference, at, email, receipt, mailed }) {
    this.#client = null;
    const told = mailed ? t("w.mailed", { email }) : t("w.unmailed");
    const facts = [
      [t("w.received"), stamp(new Date(at))],
      [t("w.reference"), reference],
    ];
    this.#put(
      "done",
      t("w.done"),
      part(
        "",
        el("p", { class: "notice good", role: "status" }, told),
        el("dl", { class: "facts" }, facts.map(([key, value]) => el("div", {}, el("dt", {}, key), el("dd", {}, el("bdi", {}, value))))),
        el("p", { class: "quiet" }, t("w.then")),
        action(t("w.save"), () => save(`${reference}.txt`, receipt), { quiet: mailed }),
      ),
      part("", el("pre", { class: "receipt", dir: "auto", tabindex: "0" }, receipt)),
    );
    announce(told);
    this.#said = { ...this.#said, contract: "", goods: "" };
  }
}

/** Give a text to the browser to keep. */
function save(name, text) {
  const address = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/plain;charset=utf-8" }));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10e3);
}
