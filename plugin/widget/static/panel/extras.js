// What a message carries besides its words: cards, what is behind a link, signs.
import { el, icon, iconButton } from "./dom.js";
import { config, money, plural, t } from "./words.js";

const STATES = { unfulfilled: "chat.order_packing", partial: "chat.order_part", fulfilled: "chat.order_sent", cancelled: "chat.order_cancelled" };

/** A link that opens beside the shop; a plain box without an address. */
function box(url, props, ...children) {
  return url ? el("a", { ...props, href: url, target: "_blank", rel: "noopener noreferrer" }, ...children) : el("div", props, ...children);
}

/** A picture that our server fetched. Its address runs out after a minute: then it is asked for anew, once. */
function shown(picture, fresh) {
  const image = el("img", { src: picture.thumbnail, alt: "", loading: "lazy", width: picture.width, height: picture.height });
  const renew = async () => {
    const anew = await fresh(picture.id);
    if (anew) image.src = anew.thumbnail;
  };
  image.addEventListener("error", renew, { once: true });
  return image;
}

function card(one, fresh) {
  const price = one.price && money(one.price);
  const details = [one.kind === "order" ? STATES[one.state] && t(STATES[one.state]) : price && (one.from ? t("chat.from", { price }) : price), one.kind === "order" && price];
  return box(
    one.url,
    { class: `card ${one.kind}`, on: { click: (event) => dispatchEvent(new CustomEvent("ahlan:go", { detail: { one, event } })) } },
    one.picture ? shown(one.picture, fresh) : el("span", { class: "sign" }, icon(one.slug ? "book-open" : one.kind === "product" ? "shopping-bag" : "package")),
    el(
      "span",
      { class: "words" },
      el("span", { class: "title" }, el("bdi", {}, one.kind === "order" ? t("chat.order", { name: one.title }) : one.title)),
      details.filter(Boolean).map((detail) => el("span", { class: "detail" }, el("bdi", {}, detail))),
    ),
  );
}

function preview({ url, title, description, site, picture }, fresh) {
  return box(
    url,
    { class: "card link-card" },
    picture && shown(picture, fresh),
    el("span", { class: "words" }, el("span", { class: "detail" }, el("bdi", {}, site)), el("span", { class: "title", dir: "auto" }, title), description && el("span", { class: "detail", dir: "auto" }, description)),
  );
}

/** Cards and the preview of a message, as nodes. */
export function extras({ cards = [], link }, fresh) {
  return [...cards.map((one) => card(one, fresh)), link && preview(link, fresh)];
}

/** The signs on a message, each pressed or not; and the way to put one on. `put(message, sign, on)`. */
export function signs(message, put) {
  if (!message.seq || message.deleted_at) return null;
  const there = (message.signs ?? []).map(({ sign, own, count }) =>
    el("button", { type: "button", class: "sign-chip", "aria-pressed": String(own), on: { click: () => put(message, sign, !own) } }, sign, count > 1 && el("span", { class: "detail" }, plural("chat.signed", count))),
  );
  const choices = el(
    "span",
    { class: "sign-choices", role: "group", "aria-label": t("chat.sign"), hidden: true },
    config.signs.map((sign) => el("button", { type: "button", on: { click: () => put(message, sign, true) } }, sign)),
  );
  const open = () => {
    choices.hidden = !choices.hidden;
    if (!choices.hidden) choices.firstElementChild.focus();
  };
  return el("div", { class: "signs" }, there, message.author !== "shopper" && iconButton("smile-plus", t("chat.sign"), open, { class: "sign-open" }), choices);
}
