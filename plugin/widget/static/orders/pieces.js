// What all screens about orders are made of.
import { announce, el, icon } from "../panel/dom.js";
import { config, isolate, money, t } from "../panel/words.js";

const locale = config.locale + (config.digits ? `-u-nu-${config.digits}` : "");
const written = (year, timeZone) => new Intl.DateTimeFormat(locale, { day: "numeric", month: "long", year, timeZone });
const zone = config.time_zone || undefined;
const days = { shop: [written(undefined, zone), written("numeric", zone)], whole: [written(undefined, "UTC"), written("numeric", "UTC")] };
const NEAR = 182 * 86_400_000;

/**
 * A moment as the day it falls on at the shop, as its sentences say it too; `2026-11-30` is that day wherever it is read.
 * What is half a year away or more says its year: the same day of another one would read alike.
 */
export function date(text) {
  const moment = new Date(text);
  const [short, long] = text.length === 10 ? days.whole : days.shop;
  return (Math.abs(moment - Date.now()) < NEAR ? short : long).format(moment);
}

/** A heading, then what belongs under it. */
export function part(title, ...nodes) {
  const heading = title && el("h2", {}, title);
  return el("section", { class: "part" }, heading, ...nodes);
}

/** What something is and what it comes to, an amount or words; without any, nothing. */
export const sum = (label, told, strong = false) => told && el("p", { class: strong ? "sum strong" : "sum" }, el("span", {}, label), el("bdi", {}, told.currency ? money(told) : told));

/** A choice in a list is plain text: the title and the price keep their own directions in it. */
export const priced = (title, price) => [title, price && money(price)].filter(Boolean).map(isolate).join(" · ");

/** A way out to a page or paper of its own. */
export const door = (label, href, kind = "link") => el("a", { class: kind, href, target: "_blank", rel: "noopener noreferrer" }, label);

let fields = 0;

/** A labelled field. Props go to the field itself; `hint` is said below its name. */
export function field(label, { hint = "", tag = "input", ...props } = {}, ...children) {
  const id = `f${++fields}`;
  const input = el(tag, { id, "aria-describedby": hint ? `${id}h` : null, ...props }, ...children);
  return { input, view: el("div", { class: "field" }, el("label", { for: id }, label), hint && el("p", { class: "hint", id: `${id}h` }, hint), input) };
}

/** What went wrong stands here, and is read out; `say(error, input)` says it below the field that it is about. */
export function complaint() {
  const view = el("p", { class: "error", role: "alert" });
  const home = new Comment();
  let wrong = null;
  const say = (error, input = null) => {
    wrong?.removeAttribute("aria-invalid");
    if (input && !home.parentNode) view.before(home);
    if (input) input.closest(".field").append(view);
    else if (wrong) home.after(view);
    wrong = input || null;
    wrong?.setAttribute("aria-invalid", "true");
    wrong?.focus();
    view.textContent = typeof error === "string" ? error : [error?.message || t("o.unsent"), error?.hint].filter(Boolean).join(" ");
  };
  return { view, say };
}

/** What happened since the screen was drawn (`orders.meanwhile`), said once on the one that follows. */
export function meanwhile(orders) {
  const said = orders.meanwhile;
  orders.meanwhile = "";
  return said && el("p", { class: "notice warn", role: "status" }, icon("circle-alert"), el("span", {}, said));
}

const SLOW = 4000;

/** Stands beside what is waited for, and says so once the wait is longer than anybody expects. */
export function patience() {
  const view = el("p", { class: "patience" });
  setTimeout(() => {
    if (!view.isConnected) return;
    view.textContent = t("o.slow");
    announce(t("o.slow"));
  }, SLOW);
  return view;
}

/** A button that does one thing at a time: `act` may take as long as it likes, a second press waits for nothing. */
export function action(label, act, { complain, quiet = false, type = "button" } = {}) {
  const button = el("button", { type, class: quiet ? "link" : "button" }, label);
  const press = async (event) => {
    event?.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    complain?.("");
    const waiting = patience();
    button.after(waiting);
    try {
      await act();
    } catch (error) {
      if (!complain) throw error;
      complain(error);
    } finally {
      waiting.remove();
      button.disabled = false;
      button.removeAttribute("aria-busy");
    }
  };
  if (type === "button") button.addEventListener("click", press);
  return Object.assign(button, { press });
}

/**
 * The way to the shop's own page for paying: `ask` finds its address when the button is pressed, and then it is a link.
 * No window is opened for it: a phone's browser blocks one that waited for an answer.
 */
export function payment(ask, say) {
  const button = action(
    t("o.pay_now"),
    async () => {
      const link = await ask();
      if (!link) return say(t("o.pay_nothing"));
      const open = door(t("o.pay_open"), link, "button");
      button.replaceWith(open);
      open.focus();
    },
    { complain: say },
  );
  return button;
}

/** A form whose button acts. */
export function form(button, ...nodes) {
  return el("form", { class: "form", novalidate: true, on: { submit: (event) => button.press(event) } }, ...nodes, button);
}

/** A picture of goods; without one, or where it cannot be loaded, an empty frame. */
export function picture(url) {
  const frame = el("span", { class: "thumb", "aria-hidden": "true" });
  if (url) {
    const image = el("img", { src: url, alt: "", loading: "lazy", referrerpolicy: "no-referrer" });
    image.addEventListener("error", () => image.remove(), { once: true });
    frame.append(image);
  }
  return frame;
}

/** A line of goods. Some stores name the kind in the title already: it is not said twice. */
export function goods({ title, variant: kind, quantity, picture: url }, ...more) {
  const variant = title.endsWith(kind ?? "") ? "" : kind;
  return el(
    "li",
    { class: "goods" },
    picture(url),
    el("span", { class: "words" }, el("span", { class: "title" }, el("bdi", {}, title)), el("span", { class: "detail" }, variant && el("bdi", {}, variant), variant && quantity > 0 && " · ", quantity > 0 && t("o.quantity", { count: String(quantity) })), ...more),
  );
}

/** Order numbers and codes read from left to right in any text. */
export const ltr = (text) => el("bdi", { dir: "ltr" }, text);

const numbers = new Intl.NumberFormat(locale);
const far = new Intl.NumberFormat(locale, { style: "unit", unit: "kilometer", maximumFractionDigits: 1 });

/** How far something is. */
export const km = (distance) => far.format(distance);

/** From 0 to `most` of `line`; `changed(count)` hears of every step. */
export function stepper(line, most, count, changed) {
  const shown = el("output", {}, numbers.format(count));
  const step = (by) => {
    count = Math.min(most, Math.max(0, count + by));
    shown.textContent = numbers.format(count);
    less.disabled = count === 0;
    more.disabled = count === most;
    changed(count);
  };
  const button = (sign, label, by) => el("button", { type: "button", "aria-label": label, on: { click: () => step(by) } }, sign);
  const less = button("−", t("o.less", { item: line.title }), -1);
  const more = button("+", t("o.more", { item: line.title }), 1);
  less.disabled = count === 0;
  more.disabled = count === most;
  return el("span", { class: "stepper" }, less, shown, more);
}
