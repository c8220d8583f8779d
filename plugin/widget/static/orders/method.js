// How it gets back to the shop: the ways that are offered, and for some of them a place or a day.
import { el } from "../panel/dom.js";
import { t } from "../panel/words.js";
import { action, complaint, date, door, field, form, km } from "./pieces.js";

/** A place with its hours and a way to it. */
export function spot({ name, address, hours, km: far, map }) {
  return [
    el("span", { class: "title" }, el("bdi", {}, name)),
    el("span", { class: "detail" }, far !== null && far !== undefined && el("span", {}, km(far), " · "), el("bdi", {}, address)),
    hours.map((line) => el("span", { class: "detail" }, el("bdi", {}, line))),
    door(t("o.map"), map),
  ].flat();
}

function places(orders, { kind, wish, keep, say }) {
  const shown = el("div", {});
  const look = async (near = "") => {
    const found = await orders.api.get(`orders/${wish.order}/places?kind=${kind}&near=${encodeURIComponent(near)}`);
    const list = found.places.map((place) => {
      if (wish.place === place.id) keep({ where: place.name });
      const radio = el("input", { type: "radio", name: "place", value: place.id, checked: wish.place === place.id, on: { change: () => keep({ place: place.id, where: place.name }) } });
      return el("label", { class: "option" }, radio, el("span", {}, ...spot(place)));
    });
    shown.replaceChildren(...(list.length > 0 ? list : [el("p", { class: "quiet" }, t("o.places_none"))]));
  };
  const near = field(t("o.near"), { maxlength: 60, dir: "auto", autocomplete: "postal-code" });
  const go = action(t("o.near_look"), () => look(near.input.value), { complain: say, quiet: true });
  near.input.addEventListener("keydown", (event) => event.key === "Enter" && go.press(event));
  look().catch(say);
  return [el("legend", {}, t(`o.way.${kind}`)), shown, near.view, go];
}

function days(offer, { wish, keep }) {
  const choice = field(t("o.way.pickup"), { tag: "select" }, el("option", { value: "" }, t("o.why_choose")), ...offer.days.map((day) => el("option", { value: day }, date(day))));
  choice.input.value = offer.days.includes(wish.day) ? wish.day : "";
  choice.input.addEventListener("change", () => keep({ day: choice.input.value }));
  return [choice.view];
}

export async function method(orders, { offer, wish, keep, next }) {
  const { view, say } = complaint();
  const codes = offer.ways.map(({ code }) => code);
  if (!codes.includes(wish.method)) keep({ method: codes.length === 1 ? codes[0] : "", place: "", day: "" });
  const more = el("fieldset", { hidden: true });
  const show = () => {
    const { method: one } = wish;
    const asked = one === "pickup" ? days(offer, { wish, keep }) : one === "point" || one === "store" ? places(orders, { kind: one, wish, keep, say }) : [];
    more.hidden = asked.length === 0;
    more.replaceChildren(...asked);
  };
  const set = el(
    "fieldset",
    {},
    el("legend", {}, t("o.way")),
    offer.ways.map(({ code, words }) => {
      const radio = el("input", { type: "radio", name: "way", value: code, checked: wish.method === code, on: { change: () => (keep({ method: code, place: "", day: "" }), show()) } });
      return el("label", { class: "option" }, radio, el("span", { class: "title" }, words));
    }),
  );
  show();
  const go = action(
    t("o.next_step"),
    () => {
      if (!wish.method) return say(t("o.way_missing"));
      if ((wish.method === "point" || wish.method === "store") && !wish.place) return say(t("o.place_missing"));
      if (wish.method === "pickup" && !wish.day) return say(t("o.day_missing"));
      return next();
    },
    { complain: say, type: "submit" },
  );
  return { title: t("o.way_title"), nodes: [form(go, set, more, view)] };
}
