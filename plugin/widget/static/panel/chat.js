// The chat screen: header, log, the offer of an e-mail while nobody is there, composer.
import { Refused } from "./api.js";
import { el, iconButton, initials } from "./dom.js";
import { Log } from "./log.js";
import { presence, presenceLine } from "./presence.js";
import { config, t } from "./words.js";

export class Chat {
  #state;
  #actions;
  #email = null;

  /** `actions` are the log's, and: back(), close(), email(address), copy(). */
  constructor(state, composer, actions) {
    this.#state = state;
    this.#actions = actions;
    this.composer = composer;
    this.log = new Log(state, actions);
    this.header = el("header", { class: "bar" });
    this.line = el("p", { class: "line-note", role: "status", hidden: true });
    this.away = el("div", { class: "away", hidden: true });
    this.view = el(
      "section",
      { class: "chat", "aria-label": t("title", { shop: config.shop }), on: { dragover: (event) => this.#over(event), dragleave: (event) => this.#leave(event), drop: (event) => this.#drop(event) } },
      this.header,
      this.log.view,
      this.away,
      this.line,
      composer.view,
      el("div", { class: "drop", "aria-hidden": "true" }, t("file.drop")),
    );
  }

  draw(arrived = 0) {
    this.#head();
    this.log.draw(arrived);
    this.#offer();
    const { lost, gone, told, thread } = this.#state;
    this.line.textContent = gone ? t("chat.gone") : lost ? t("chat.offline") : thread.closed ? t("chat.closed") : told;
    this.line.hidden = !this.line.textContent;
  }

  #head() {
    const { thread } = this.#state;
    const agent = thread.list().findLast?.((message) => message.author === "agent" && message.author_name)?.author_name;
    const name = agent ?? config.shop;
    const copy = config.mails && this.#state.visitor?.proven_email && thread.last > 0;
    const key = JSON.stringify([name, presence(), copy]);
    if (this.header.dataset.key === key) return;
    this.header.dataset.key = key;
    const focused = this.header.contains(document.activeElement) ? document.activeElement.className : null;
    this.header.replaceChildren(
      iconButton("arrow-left", t("chat.back"), this.#actions.back, { class: "back" }),
      el("span", { class: "avatar", "aria-hidden": "true" }, initials(name)),
      el("div", { class: "words" }, el("h1", { tabindex: "-1" }, el("bdi", {}, name)), presenceLine(true)),
      ...(copy ? [iconButton("mail", t("chat.copy"), this.#actions.copy, { class: "copy" })] : []),
      iconButton("x", t("close"), this.#actions.close, { class: "close" }),
    );
    if (focused) this.header.getElementsByClassName(focused)[0]?.focus();
  }

  /** Nobody there, something asked, no address known: offer to answer by e-mail too. */
  #offer() {
    const { thread, outbox, visitor, saved } = this.#state;
    const asked = outbox.items.length > 0 || thread.list().some(({ author }) => author === "shopper");
    const wanted = saved ? "saved" : asked && !presence().here && visitor && !visitor.has_email ? "form" : "";
    if (this.#email === wanted) return;
    this.#email = wanted;
    this.away.hidden = wanted === "";
    if (wanted === "saved") this.away.replaceChildren(el("p", { role: "status" }, t(config.mails ? "email.saved" : "email.kept", { email: saved })));
    if (wanted === "form") this.away.replaceChildren(this.#form());
  }

  #form() {
    const field = el("input", { type: "email", id: "email", name: "email", autocomplete: "email", inputmode: "email", dir: "ltr", required: true, placeholder: "name@example.com", "aria-describedby": "email-error" });
    const error = el("p", { class: "error", id: "email-error", role: "alert" });
    const save = el("button", { type: "submit", class: "button" }, t("email.save"));
    const submit = async (event) => {
      event.preventDefault();
      error.textContent = field.validity.valid && /@[^@\s]+\.[^@\s.]+$/.test(field.value.trim()) ? "" : t("email.invalid");
      field.setAttribute("aria-invalid", String(error.textContent !== ""));
      if (error.textContent) return field.focus();
      save.disabled = true;
      try {
        await this.#actions.email(field.value.trim());
      } catch (refused) {
        error.textContent = (refused instanceof Refused && refused.final && refused.message) || t("email.failed");
        save.disabled = false;
      }
    };
    return el(
      "form",
      { novalidate: true, on: { submit } },
      el("label", { for: "email" }, t(config.mails ? "email.offer" : "email.ask")),
      el("div", { class: "row" }, el("span", { class: "field" }, field), save),
      error,
    );
  }

  #over(event) {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    this.view.classList.add("dropping");
  }

  #leave(event) {
    if (!this.view.contains(event.relatedTarget)) this.view.classList.remove("dropping");
  }

  #drop(event) {
    this.view.classList.remove("dropping");
    if (event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    this.composer.files.add([...event.dataTransfer.files]);
  }
}
