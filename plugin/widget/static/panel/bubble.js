// One message on the screen.
import { el, icon, initials } from "./dom.js";
import { extras, signs } from "./extras.js";
import { preview } from "./files.js";
import { typed } from "./text.js";
import { config, moment, size, t, time } from "./words.js";

function attachment(file, fresh) {
  const { id, name, kind } = file;
  const link = el("a", { class: kind === "image" ? "image" : "file", target: "_blank", rel: "noopener noreferrer", "aria-label": t("file.open", { name }) });
  const local = preview(id);
  if (file.url ?? local) link.href = file.url ?? local;
  if (kind === "image" && link.href) {
    const picture = el("img", { src: local ?? file.thumbnail ?? file.url, alt: name, loading: "lazy" });
    // Addresses of files expire: ask once for a fresh one.
    const renew = async () => {
      const anew = await fresh(id);
      if (anew) picture.src = anew.thumbnail ?? anew.url;
    };
    picture.addEventListener("error", renew, { once: true });
    link.append(picture);
  } else {
    link.append(icon("file-text"), el("span", { class: "words" }, el("span", { class: "name" }, el("bdi", {}, name)), el("span", { class: "detail" }, size(file.size))));
  }
  link.addEventListener("click", async (event) => {
    if (!file.url) return;
    event.preventDefault();
    // The window opens in the click and is led on later: after a wait browsers would take it for a pop-up.
    const tab = open("", "_blank");
    const url = (await fresh(id))?.url ?? file.url;
    if (tab) {
      tab.opener = null;
      tab.location.replace(url);
    }
  });
  return link;
}

/** The bubble of a message; the meta line and grouping are the log's. `fresh(id)` gives a file with new addresses. */
export function bubble(message, fresh, sign) {
  const { author, text, attachments = [] } = message;
  if (author === "system") return el("p", { class: "system", dir: "auto" }, typed(text));
  const own = author === "shopper";
  const name = own ? t("chat.you") : message.author_name || config.shop;
  return el(
    "div",
    { class: `message ${own ? "own" : author}` },
    !own && el("span", { class: "avatar", "aria-hidden": "true" }, author === "bot" ? icon("bot") : initials(name)),
    el(
      "div",
      { class: "stack" },
      el("p", { class: "who" }, el("bdi", {}, name), author === "bot" && el("span", { class: "mark" }, t("chat.bot"))),
      message.deleted_at && el("p", { class: "text gone" }, t("chat.deleted")),
      text && el("p", { class: "text", dir: "auto" }, typed(text)),
      attachments.map((file) => attachment(file, fresh)),
      extras(message, fresh),
      signs(message, sign),
      el("div", { class: "meta", "aria-live": "off" }),
    ),
  );
}

const STATES = {
  sending: ["clock", "chat.sending"],
  waiting: ["clock", "chat.waiting"],
  sent: ["check", "chat.sent"],
  seen: ["check-check", "chat.seen"],
  failed: ["circle-alert", "chat.failed"],
};

/** What stands under a bubble: the time, and for an own message how far it got, with a way out when it failed. */
export function meta(message, state, { retry, remove }) {
  const at = new Date(message.at);
  const parts = [el("time", { datetime: message.at, title: moment(at) }, time(at))];
  if (message.edited_at) parts.push(el("span", {}, t("chat.edited")));
  if (state) {
    const [sign, key] = STATES[state];
    parts.push(el("span", { class: `state ${state}` }, icon(sign), el("bdi", {}, message.reason || t(key))));
  }
  if (state === "failed") {
    parts.push(el("button", { type: "button", class: "link", on: { click: retry } }, t("chat.retry")));
    parts.push(el("button", { type: "button", class: "link", on: { click: remove } }, t("chat.remove")));
  }
  return parts;
}
