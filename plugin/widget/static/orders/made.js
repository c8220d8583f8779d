// A return on its way: where it stands, what comes next, and what the shopper can still do about it.
import { el, icon } from "../panel/dom.js";
import { t } from "../panel/words.js";
import { spot } from "./method.js";
import { parcel } from "./order.js";
import { Photos } from "./photos.js";
import { action, complaint, date, door, field, form, goods, meanwhile, part, payment, sum } from "./pieces.js";

const UNSENT = ["approved", "sent"];
const ENDED = ["declined", "cancelled"];
/** The shop, or another window, was first. */
const ELSEWHERE = ["moved_on", "money_under_way"];
const PAUSES = [3000, 5000, 9000, 15000];

function next({ state, kind, keep, label, slip, way }) {
  if (state === "approved" && keep) return t("o.then.keep");
  if (state === "approved" && slip) return t("o.then.approved_slip");
  if (state === "sent" && !label) return t("o.then.sent_number");
  if (state === "sent" && /code|pickup/.test(way?.code)) return t(`o.then.sent_${way.code}`);
  if (state === "paid" && ["refund", "credit"].includes(kind)) return t(`o.then.${kind}`);
  return t(`o.then.${state}`);
}

function course(steps) {
  return el(
    "ol",
    { class: "course" },
    steps.map(({ state, at }, place) =>
      el(
        "li",
        { class: "done", "aria-current": place === steps.length - 1 ? "step" : null },
        el("span", { class: "knot", "aria-hidden": "true" }, icon(ENDED.includes(state) ? "x" : "check")),
        el("span", { class: "words" }, el("span", { class: "title" }, t(`o.state.${state}`)), el("span", { class: "detail" }, date(at))),
      ),
    ),
  );
}

/** What goes with the parcel. A code is shown where it stands, to be read off the screen at the counter. */
function papers({ label, slip, way, state }) {
  const shown = slip && UNSENT.includes(state);
  if (!label && !shown) return null;
  const code = way?.code === "code";
  const read = code && label && el("img", { class: "qr", src: label, alt: "", on: { error: () => read.remove() } });
  return part("", read, label && door(t(code ? "o.label_code" : "o.label"), label, "button"), shown && door(t("o.slip"), slip, label ? "link" : "button"));
}

/** What follows a yes within seconds comes onto the screen, unless somebody is at work on it. */
async function follow(orders, id, view, again) {
  for (const pause of PAUSES) {
    await new Promise((done) => setTimeout(done, pause));
    const now = view.isConnected && (await orders.api.get(`returns/${id}`).catch(() => null));
    if (!view.isConnected || view.parentNode.querySelector("details[open]")) return;
    if (now && (now.state !== "approved" || now.slip || now.label)) return again();
  }
}

export async function made(orders, { id }) {
  const found = await orders.api.get(`returns/${id}`);
  const again = () => orders.go("made", { id }, { instead: true });
  const { view, say: tell } = complaint();
  const first = meanwhile(orders);
  const say = (error) => {
    if (!ELSEWHERE.includes(error?.code)) return tell(error);
    orders.meanwhile = [error.message, error.hint].filter(Boolean).join(" ");
    again();
  };
  const doing = [];
  if (found.may.includes("answer")) {
    const words = field(t("o.answer"), { tag: "textarea", rows: "3", maxlength: 2000, dir: "auto" });
    const photos = new Photos(orders.api, say);
    const send = action(
      t("o.answer_send"),
      async () => {
        if (photos.busy) return say(t("o.photo_going"));
        await orders.api.post(`returns/${id}/answer`, { words: words.input.value, photos: photos.ids });
        await again();
      },
      { complain: say, type: "submit" },
    );
    doing.push(form(send, words.view, photos.view));
  }
  if (found.may.includes("ship")) {
    const carrier = field(t("o.carrier"), { maxlength: 80, dir: "auto" });
    const number = field(t("o.parcel_number"), { maxlength: 80, dir: "ltr", autocapitalize: "characters" });
    const send = action(
      t("o.ship"),
      async () => {
        await orders.api.post(`returns/${id}/sent`, { carrier: carrier.input.value, number: number.input.value });
        await again();
      },
      { complain: say, type: "submit" },
    );
    doing.push(el("details", { class: "fold" }, el("summary", {}, t("o.ship_title")), form(send, carrier.view, number.view)));
  }
  if (found.may.includes("pay")) {
    doing.push(sum(t("o.owed"), found.owed, true), payment(async () => (await orders.api.post(`returns/${id}/pay`)).url, say));
  }
  if (found.may.includes("change")) doing.push(action(t("o.change_return"), () => orders.go("back", { order: found.order.id, step: 1, change: id }), { quiet: true }));
  if (found.may.includes("cancel")) {
    const sure = action(
      t("o.call_off_sure"),
      async () => {
        await orders.api.post(`returns/${id}/cancel`);
        await again();
      },
      { complain: say, quiet: true },
    );
    doing.push(el("details", { class: "fold" }, el("summary", {}, t("o.call_off")), el("p", { class: "quiet" }, t("o.call_off_what")), sure));
  }
  const later = !found.may.includes("pay") && found.owed;
  const amount = !ENDED.includes(found.state) && (found.paid ?? found.cash ?? found.credit);
  return {
    title: t("o.return_number", { number: found.number }),
    nodes: [
      first,
      el("p", { class: `notice ${found.state === "paid" || found.state === "closed" ? "good" : ENDED.includes(found.state) ? "warn" : ""}` }, icon(found.state === "asked" ? "circle-alert" : "package"), el("span", {}, [next(found), found.why].filter(Boolean).join(" "))),
      found.note && el("blockquote", { dir: "auto" }, found.note),
      papers(found),
      found.way && !found.keep && part(t("o.way"), el("p", {}, found.way.words, found.way.day && ` · ${date(found.way.day)}`), found.way.place && el("p", { class: "spot" }, ...spot(found.way.place))),
      found.tracking && part("", parcel({ carrier: found.carrier, number: found.tracking, link: found.tracking_url })),
      part(t("o.steps_return"), course(found.steps)),
      part(t(found.keep ? "o.goods_kept" : "o.goods_back"), el("ul", { class: "items" }, found.lines.map((line) => goods(line))), sum(t("o.else_gets"), found.instead.join(", ")), sum(found.resolution, amount, true), later && sum(t("o.owed"), later, true), later && el("p", { class: "quiet" }, t("o.owed_when"))),
      el("div", { class: "doing", hidden: doing.length === 0 }, ...doing, view),
      part("", el("div", { class: "row" }, action(t("o.name", { name: found.order.name }), () => orders.go("order", { id: found.order.id }), { quiet: true }), action(t("o.to_chat"), () => orders.chat(), { quiet: true }))),
    ],
    after: () => found.state === "approved" && !found.slip && !found.label && follow(orders, id, view, again),
  };
}
