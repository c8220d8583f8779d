// Where the shopper writes. What is typed is kept as a draft until it is sent.
import { announce, el, iconButton } from "./dom.js";
import { emoji } from "./emoji.js";
import { Files } from "./files.js";
import { config, t } from "./words.js";

export class Composer {
  #send;
  #keep;
  #typing;
  #draft = null;
  #typed = 0;
  #telling = null;

  /** `send({text, attachments})`, `keep(draft|null)` (text to persist), `typing(text)` at most every three seconds, every second where agents may read along. */
  constructor({ api, send, keep, typing }) {
    this.#send = send;
    this.#keep = keep;
    this.#typing = typing;
    this.note = el("p", { class: "note", role: "alert", hidden: true });
    this.files = new Files({ api, changed: () => this.#changed(), complain: (text) => this.complain(text) });
    this.text = el("textarea", {
      rows: "1",
      id: "text",
      maxlength: config.max_text,
      placeholder: t("chat.placeholder"),
      "aria-label": t("chat.placeholder"),
      enterkeyhint: "send",
      on: { input: () => this.#input(), keydown: (event) => this.#key(event), paste: (event) => this.#paste(event) },
    });
    this.picker = el("input", { type: "file", multiple: true, hidden: true, accept: config.attachments.accept.join(","), on: { change: () => this.#pick() } });
    this.button = iconButton("send-horizontal", t("chat.send"), () => this.submit(), { class: "send", "aria-disabled": "true" });
    this.signs = emoji((sign) => this.#insert(sign));
    this.view = el(
      "form",
      { class: "composer", on: { submit: (event) => event.preventDefault() } },
      this.note,
      this.files.view,
      config.typing_preview && el("p", { class: "told", id: "told" }, t("chat.told")),
      this.signs.board,
      el("div", { class: "line" }, this.picker, iconButton("paperclip", t("file.attach"), () => this.picker.click(), { class: "attach" }), this.text, this.signs.button, this.button),
    );
    this.#fit();
  }

  restore(draft) {
    try {
      const { text, attachments } = JSON.parse(draft);
      this.text.value = text;
      this.files.restore(attachments);
      this.#fit();
    } catch {} // a draft from another version of us: nothing to restore
  }

  focus() {
    this.text.focus();
  }

  complain(text) {
    this.note.textContent = text;
    this.note.hidden = !text;
  }

  submit() {
    if (this.#blocked) return;
    const text = this.text.value.trim();
    this.#send({ text, attachments: this.files.ready });
    this.text.value = "";
    this.files.clear();
    this.signs.hide();
    clearTimeout(this.#telling);
    this.#telling = null;
    this.complain("");
    this.#fit();
    clearTimeout(this.#draft);
    this.#keep(null);
    this.text.focus();
    announce("");
  }

  get #blocked() {
    return this.files.busy || (this.text.value.trim() === "" && this.files.ready.length === 0);
  }

  #input() {
    this.#changed();
    this.#fit();
    if (config.typing_preview) {
      // The last word counts too, and that everything was deleted again.
      this.#telling ??= setTimeout(() => {
        this.#telling = null;
        this.#typing(this.text.value.slice(0, 500));
      }, 1000);
      return;
    }
    if (Date.now() - this.#typed < 3000 || !this.text.value.trim()) return;
    this.#typed = Date.now();
    this.#typing("");
  }

  #insert(sign) {
    this.text.setRangeText(sign, this.text.selectionStart, this.text.selectionEnd, "end");
    this.#input();
  }

  #changed() {
    this.button?.setAttribute("aria-disabled", String(this.#blocked));
    if (!this.text) return;
    clearTimeout(this.#draft);
    this.#draft = setTimeout(() => {
      const draft = { text: this.text.value, attachments: this.files.ready };
      this.#keep(draft.text || draft.attachments.length ? JSON.stringify(draft) : null);
    }, 300);
  }

  /** As tall as what is written, up to the limit of the style sheet. */
  #fit() {
    // An empty field with dir=auto would fall back to left-to-right and misplace the placeholder.
    this.text.dir = this.text.value ? "auto" : document.documentElement.dir;
    this.text.style.height = "auto";
    this.text.style.height = `${this.text.scrollHeight}px`;
    this.button.setAttribute("aria-disabled", String(this.#blocked));
  }

  #key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.submit();
  }

  #paste(event) {
    const files = [...event.clipboardData.files];
    if (files.length > 0) {
      event.preventDefault();
      this.files.add(files);
      return;
    }
    const { value, selectionStart, selectionEnd } = this.text;
    const long = value.length - (selectionEnd - selectionStart) + event.clipboardData.getData("text/plain").length;
    this.complain(long > config.max_text ? t("chat.full") : "");
  }

  #pick() {
    this.files.add([...this.picker.files]);
    this.picker.value = "";
    this.text.focus();
  }
}
