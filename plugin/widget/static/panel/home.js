// The first screen: hello, who is there, and the doors.
import { el, icon, iconButton, initials } from "./dom.js";
import { presenceLine } from "./presence.js";
import { typed } from "./text.js";
import { config, day, plural, t, time } from "./words.js";

/** One door. `badge` and `aside` are optional. */
function door({ name, title, detail, picture, badge, aside, onclick }) {
  return el(
    "button",
    { type: "button", class: "door", "data-door": name, on: { click: onclick } },
    el("span", { class: "picture", "aria-hidden": "true" }, picture),
    el("span", { class: "words" }, el("span", { class: "title" }, el("bdi", {}, title)), el("span", { class: "detail" }, el("bdi", {}, typed(detail, false)))),
    aside && el("span", { class: "aside" }, aside),
    badge ? el("span", { class: "badge" }, el("span", { "aria-hidden": "true" }, String(badge)), el("span", { class: "unseen" }, plural("home.unread", badge))) : icon("chevron-right"),
  );
}

/** The open conversation as a door: who spoke last, what, when. */
function resume(state, chat) {
  const message = state.thread.newest();
  const pending = state.outbox.items[state.outbox.items.length - 1];
  const last = pending ?? message;
  const own = pending || message?.author === "shopper";
  const words = last.text || t("home.file");
  const when = new Date(last.at);
  const today = when.toDateString() === new Date().toDateString();
  const name = own ? "" : message.author_name || config.shop;
  return door({
    name: "resume",
    title: own || !name ? t("home.resume") : name,
    detail: state.thread.status === "closed" && !pending ? t("home.finished") : own ? t("home.you", { text: words }) : words,
    picture: name && message.author === "agent" ? initials(name) : icon("message-circle"),
    badge: state.unread,
    aside: today ? time(when) : day(when),
    onclick: chat,
  });
}

/** By name when it is known; a greeting of the shop's own stands for both of ours. */
function hello(name) {
  const ours = config.greeting ? el("span", { class: "help own", dir: "auto" }, config.greeting) : el("span", { class: "help" }, t("home.help"));
  if (config.greeting && !name) return [ours];
  return [el("span", {}, name ? t("home.hello_name", { name }) : t("home.hello")), " ", ours];
}

/** Draw the home screen for `state` ({visitor, thread, outbox, unread}). */
export function home(state, { chat, part, close, begin }) {
  const name = state.visitor?.name?.trim().split(/\s+/)[0];
  const begun = state.thread.newest() || state.outbox.items.length > 0;
  return el(
    "section",
    { class: "home", "aria-labelledby": "hello" },
    el(
      "header",
      { class: "welcome" },
      el("div", { class: "bar" }, el("span", { class: "shop" }, el("bdi", {}, config.shop)), iconButton("x", t("close"), close)),
      el("h1", { id: "hello", tabindex: "-1" }, ...hello(name)),
      presenceLine(),
    ),
    el(
      "div",
      { class: "doors" },
      begun
        ? resume(state, chat)
        : door({ name: "chat", title: t("home.chat"), detail: t("home.chat_hint"), picture: icon("message-circle"), onclick: chat }),
      config.flows?.length > 0 &&
        el("div", { class: "replies starts" }, ...config.flows.map((text) => el("button", { type: "button", class: "chip", dir: "auto", on: { click: () => begin(text) } }, text))),
      config.orders && door({ name: "orders", title: config.orders.label, detail: config.orders.hint, picture: icon("package"), onclick: () => part("orders") }),
      config.withdrawal && door({ name: "withdrawal", title: config.withdrawal.label, detail: config.withdrawal.hint, picture: icon("file-text"), onclick: () => part("withdrawal") }),
      config.help && door({ name: "help", title: t("home.topics"), detail: t("home.topics_hint"), picture: icon("book-open"), onclick: () => part("help") }),
    ),
  );
}
