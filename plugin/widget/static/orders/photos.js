// Photos from the phone's camera or its album: checked before they travel, uploaded at once.
import { el, icon } from "../panel/dom.js";
import { Files } from "../panel/files.js";
import { t } from "../panel/words.js";

// A phone that is asked for these turns its own pictures into one of them by itself; its videos an iPhone does not.
const TAKEN = ["image/jpeg", "image/png", "image/webp", "video/mp4", "video/quicktime"];

export class Photos {
  /** `complain(text)` says what was wrong with a file; `changed` hears of every upload that ended. */
  constructor(api, complain, changed = () => {}) {
    this.files = new Files({ api, changed, complain });
    const picker = el("input", { type: "file", multiple: true, hidden: true, accept: TAKEN.join(","), on: { change: () => this.#add(picker, complain) } });
    const button = el("button", { type: "button", class: "add", on: { click: () => picker.click() } }, icon("paperclip"), t("o.photo_add"));
    this.view = el("div", { class: "photos" }, picker, button, this.files.view);
  }

  #add(picker, complain) {
    complain("");
    const picked = [...picker.files];
    picker.value = "";
    const fit = picked.filter(({ type }) => TAKEN.includes(type));
    if (fit.length < picked.length) complain(t("o.photo_kind"));
    this.files.add(fit);
  }

  get busy() {
    return this.files.busy;
  }

  get ids() {
    return this.files.ready.map(({ id }) => id);
  }

  get kept() {
    return this.files.ready;
  }

  restore(files) {
    if (files?.length) this.files.restore(files);
  }
}
