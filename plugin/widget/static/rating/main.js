// How it was: asked once, under a conversation that was resolved. Loaded when it is first asked.
import { el, icon } from "../panel/dom.js";
import { plural, t } from "../panel/words.js";

const BEST = 5;

export class Rating {
  #rate;
  #key = null;
  #words = "";

  /** `rate(score, comment)` resolves to whether it arrived. */
  constructor(rate) {
    this.#rate = rate;
    this.view = el("section", { class: "rating", hidden: true, "aria-labelledby": "rating-title" });
  }

  /** `asked`: null, or {score|null, comment}. */
  draw(asked) {
    const key = JSON.stringify(asked);
    if (this.#key === key) return;
    this.#key = key;
    this.view.hidden = !asked;
    if (!asked) return;
    const focused = this.view.contains(document.activeElement) && document.activeElement.dataset.score;
    const { score, comment } = asked;
    this.view.replaceChildren(
      el("h2", { id: "rating-title" }, score ? t("chat.rated") : t("chat.rate")),
      el("div", { class: "stars", role: "radiogroup", "aria-labelledby": "rating-title", on: { keydown: (event) => this.#walk(event) } }, ...Array.from({ length: BEST }, (_, at) => this.#star(at + 1, score))),
      ...(score ? [comment ? el("p", { class: "said", dir: "auto" }, comment) : this.#form(score)] : []),
    );
    if (focused) this.view.querySelector(`[data-score="${focused}"]`)?.focus();
  }

  #star(value, score) {
    return el(
      "button",
      { type: "button", role: "radio", class: score >= value ? "star on" : "star", "data-score": value, "aria-checked": String(score === value), "aria-label": plural("chat.stars", value), tabindex: value === (score ?? 1) ? "0" : "-1", on: { click: () => this.#send(value) } },
      icon("star"),
    );
  }

  /** Arrows walk over the stars as over any group of radio buttons. */
  #walk(event) {
    const step = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const at = Number(event.target.dataset.score);
    if (!step || !at) return;
    event.preventDefault();
    const turned = document.documentElement.dir === "rtl" && /Left|Right/.test(event.key) ? -step : step;
    this.view.querySelector(`[data-score="${Math.min(BEST, Math.max(1, at + turned))}"]`).focus();
  }

  #form(score) {
    const field = el("textarea", { rows: "2", maxlength: "1000", dir: "auto", "aria-label": t("chat.why"), placeholder: t("chat.why"), on: { input: () => (this.#words = field.value) } });
    field.value = this.#words;
    const submit = (event) => {
      event.preventDefault();
      if (field.value.trim()) this.#send(score, field.value.trim());
    };
    return el("form", { on: { submit } }, field, el("button", { type: "submit", class: "button" }, t("chat.send")));
  }

  async #send(score, comment = "") {
    this.error?.remove();
    if (await this.#rate(score, comment)) return;
    this.error = el("p", { class: "error", role: "alert" }, t("email.failed"));
    this.view.append(this.error);
  }
}
