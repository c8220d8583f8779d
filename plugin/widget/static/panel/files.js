// Files that wait beside the composer: checked before they travel, uploaded at once, sent with the next message.
import { Refused } from "./api.js";
import { el, icon, iconButton } from "./dom.js";
import { config, size, t } from "./words.js";

/** Pictures as they were on this device, so that nothing flickers when the server's copy takes over. */
const previews = new Map();

export const preview = (id) => previews.get(id);

function accepted(file) {
  return config.attachments.accept.some((kind) =>
    kind.endsWith("/*") ? file.type.startsWith(kind.slice(0, -1)) : kind.startsWith(".") ? file.name.toLowerCase().endsWith(kind) : file.type === kind,
  );
}

export class Files {
  items = []; // {file, id?, name, size, kind, share, state: "going" | "here" | "failed", view}
  #api;
  #changed;
  #complain;

  constructor({ api, changed, complain }) {
    this.#api = api;
    this.#changed = changed;
    this.#complain = complain;
    this.view = el("ul", { class: "tray", hidden: true });
  }

  /** Uploads under way: the message has to wait for them. */
  get busy() {
    return this.items.some(({ state }) => state === "going");
  }

  /** What a message can carry. */
  get ready() {
    return this.items.filter(({ state }) => state === "here").map(({ id, name, size, kind }) => ({ id, name, size, kind }));
  }

  add(files) {
    for (const file of files) {
      const { max_bytes: limit, max_count: count } = config.attachments;
      if (this.items.length >= count) return this.#complain(t("file.many"));
      if (!accepted(file)) this.#complain(t("file.kind", { name: file.name }));
      else if (file.size > limit) this.#complain(t("file.large", { name: file.name, size: size(limit) }));
      else this.#begin(file);
    }
  }

  /** Files uploaded in an earlier page view. */
  restore(uploaded) {
    for (const { id, name, size, kind } of uploaded) this.items.push({ id, name, size, kind, share: 1, state: "here" });
    this.#draw();
  }

  clear() {
    this.items = [];
    this.#draw();
  }

  #begin(file) {
    const item = { file, name: file.name, size: file.size, kind: file.type.startsWith("image/") ? "image" : "file", share: 0, stop: new AbortController() };
    if (item.kind === "image") item.picture = URL.createObjectURL(file);
    this.items.push(item);
    this.#upload(item);
  }

  async #upload(item) {
    item.state = "going";
    this.#draw();
    try {
      const answer = await this.#api.upload(item.file, (share) => this.#progress(item, share), item.stop.signal);
      Object.assign(item, answer, { state: "here", share: 1 });
      if (item.picture) previews.set(answer.id, item.picture);
    } catch (error) {
      item.state = "failed";
      this.#complain((error instanceof Refused && error.message) || t("file.failed", { name: item.name }));
    }
    this.#draw();
  }

  #progress(item, share) {
    item.share = share;
    item.view?.querySelector("progress")?.setAttribute("value", share);
  }

  #remove(item) {
    item.stop?.abort();
    this.items = this.items.filter((other) => other !== item);
    this.#draw();
  }

  #draw() {
    this.view.replaceChildren(...this.items.map((item) => this.#row(item)));
    this.view.hidden = this.items.length === 0;
    this.#changed();
  }

  #row(item) {
    const { name, state } = item;
    item.view = el(
      "li",
      { class: `file ${state}` },
      item.picture ? el("img", { src: item.picture, alt: "" }) : icon("file-text"),
      el("span", { class: "words" }, el("span", { class: "name" }, el("bdi", {}, name)), state === "going" ? el("progress", { max: "1", value: item.share, "aria-label": t("file.uploading", { name }) }) : el("span", { class: "detail" }, size(item.size))),
      state === "failed" && iconButton("rotate-cw", t("file.retry", { name }), () => this.#upload(item)),
      iconButton("x", t("file.remove", { name }), () => this.#remove(item)),
    );
    return item.view;
  }
}
