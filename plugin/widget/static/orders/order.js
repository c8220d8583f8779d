// The list of orders, one of them, and telling the shop that something is wrong with it.
import { el, icon } from "../panel/dom.js";
import { money, plural, t } from "../panel/words.js";
import { signIn, signOut } from "./account.js";
import { find } from "./find.js";
import { Photos } from "./photos.js";
import { action, complaint, date, door, field, form, goods, ltr, part, picture, stepper, sum } from "./pieces.js";

function row({ id, name, at, items, total, picture: url, step, late }, open) {
  return el(
    "li",
    {},
    el(
      "button",
      { type: "button", class: "entry", on: { click: () => open(id) } },
      picture(url),
      el(
        "span",
        { class: "words" },
        el("span", { class: "title" }, ltr(name)),
        el("span", { class: "detail" }, `${date(at)} · ${plural("o.items", items)}`, total && [" · ", el("bdi", {}, money(total))]),
        step && el("span", { class: `mark ${step === "cancelled" || late ? "warn" : ["delivered", "fetched"].includes(step) ? "good" : ""}` }, t(`o.step.${step}`)),
      ),
      icon("chevron-right"),
    ),
  );
}

const digits = (name) => name.replace(/\D/g, "");

/** All that are known to be theirs; with `number` that one of them, where it is one. */
export async function list(orders, { number = "" } = {}) {
  const { signed_in: signedIn, sign_in: path, sign_out: out, orders: found } = await orders.api.get("orders");
  if (found.length === 0 && !signedIn) return find(orders, {});
  const meant = digits(number) && found.find(({ name }) => digits(name) === digits(number));
  if (meant) return order(orders, { id: meant.id });
  // The answer to what most people come for.
  const [newest] = found;
  return {
    title: t("o.mine"),
    nodes: [
      newest?.where && el("p", { class: `notice ${newest.late ? "warn" : ""}` }, icon(newest.late ? "clock" : "package"), el("span", {}, newest.where)),
      found.length > 0 ? el("ul", { class: "entries" }, found.map((one) => row(one, (id) => orders.go("order", { id })))) : part("", el("p", { class: "quiet" }, t("o.none"))),
      part("", el("div", { class: "row" }, action(t("o.other"), () => orders.go("find"), { quiet: true }), out && signOut(orders))),
      signIn(orders, path),
    ],
  };
}

function course({ steps, step, parts, late, usual_days: days, where, expected, promised, pickup }) {
  const last = steps.filter(({ done }) => done).length - 1;
  return part(
    t("o.steps"),
    el("p", { class: "where" }, where),
    pickup && el("p", { class: "quiet" }, t("o.pickup"), " ", el("bdi", {}, pickup)),
    el(
      "ol",
      { class: "course" },
      steps.map(({ step: name, at, done }, place) =>
        el(
          "li",
          { class: done ? "done" : "", "aria-current": place === last ? "step" : null },
          el("span", { class: "knot", "aria-hidden": "true" }, done && icon("check")),
          el("span", { class: "words" }, el("span", { class: "title" }, t(`o.step.${name}`)), at ? el("span", { class: "detail" }, date(at)) : !done && el("span", { class: "unseen" }, t("o.next"))),
        ),
      ),
    ),
    step === "cancelled" && el("p", { class: "notice warn" }, icon("circle-alert"), el("span", {}, t("o.step.cancelled"))),
    sum(t(promised ? "o.promised" : "o.expected"), expected && date(expected)),
    parts && el("p", { class: "quiet" }, t("o.parts")),
    late && el("p", { class: "notice warn" }, icon("clock"), el("span", {}, t("o.late"), " ", days ? t("o.late_why", { days: plural("o.days", days) }) : "")),
  );
}

export function parcel({ carrier, number, link, failed, proof }) {
  if (!(carrier || number || proof || failed)) return;
  return el(
    "div",
    { class: "parcel" },
    icon("package"),
    el("span", { class: "words" }, el("span", { class: "title" }, el("bdi", {}, carrier || t("o.parcel"))), number && el("span", { class: "detail" }, ltr(number)), failed && el("span", { class: "mark warn" }, t("o.parcel_failed")), link && door(t("o.track"), link)),
    proof && proven(proof),
  );
}

/** Where the carrier left it. Nobody has to see it who does not want to: it opens by itself. */
function proven(url) {
  const image = el("img", { src: url, alt: t("o.proof"), loading: "lazy", referrerpolicy: "no-referrer" });
  const frame = el("a", { class: "proof", href: url, target: "_blank", rel: "noopener noreferrer" }, image, el("span", {}, t("o.proof")));
  image.addEventListener("error", () => image.remove(), { once: true });
  return frame;
}

/** The doors to what shoppers do to it themselves; `alone` is what the shop lets them do. */
function changes(orders, id, alone) {
  return ["address", "change", "cancel"].filter((kind) => alone[kind]).map((kind) => action(t(`o.do.${kind}`), () => orders.go(kind, { id }), { quiet: true }));
}

/** What they did to this order lately, if it is still under way, did not work, or is to be paid. */
function lately(orders, id, { doings }) {
  const shown = doings.filter(({ state, owed }, place) => place === 0 && (state !== "done" || owed));
  return shown.map(({ doing, id: key, kind, state }) =>
    el("button", { type: "button", class: `notice doing-state ${state === "done" || state === "sent" ? "" : "warn"}`, on: { click: () => orders.go("doing", { id, doing: doing ?? key }) } }, icon(state === "sent" ? "clock" : "circle-alert"), el("span", {}, `${t(`o.did.${kind}`)} · ${t(`o.went.${state}`)}`)),
  );
}

export async function order(orders, { id }) {
  const found = await orders.api.get(`orders/${id}`);
  orders.remember({ back: null });
  const parcels = found.parcels.map(parcel).filter(Boolean);
  const unsent = changes(orders, id, found.alone);
  const doors = [
    ...unsent,
    // Before anything was sent there is nothing to send back.
    unsent.length === 0 && found.may.includes("return") && action(t("o.return"), () => orders.go("back", { order: id, step: 1 })),
    found.problems.length > 0 && action(t("o.problem"), () => orders.go("problem", { id }), { quiet: true }),
    found.alone.again && action(t("o.do.again"), () => orders.go("again", { id }), { quiet: true }),
    found.url && door(t("o.see"), found.url),
  ];
  return {
    title: t("o.name", { name: found.name }),
    nodes: [
      ...lately(orders, id, found.alone),
      found.claims.length > 0 && part(t("o.claims"), el("ul", { class: "items" }, found.claims.map(({ kind, state }) => el("li", {}, t(`o.problem.${kind}`), " ", el("span", { class: `mark ${state === "settled" ? "good" : ""}` }, t(`o.claim.${state}`)))))),
      found.returns.length > 0 && part(t("o.returns"), el("ul", { class: "entries" }, found.returns.map((one) => sentBack(one, orders)))),
      found.steps.length > 0 && course(found),
      parcels.length > 0 && part("", ...parcels),
      part(t("o.goods"), el("ul", { class: "items" }, found.lines.map((line) => goods(line, line.price && el("bdi", { class: "price" }, money(line.price))))), sum(t("o.pay"), found.total)),
      el("div", { class: "doing" }, doors.filter(Boolean)),
    ],
  };
}

function sentBack({ id, number, state, at }, orders) {
  return el(
    "li",
    {},
    el(
      "button",
      { type: "button", class: "entry", on: { click: () => orders.go("made", { id }) } },
      el("span", { class: "words" }, el("span", { class: "title" }, t("o.return_number", { number })), el("span", { class: "detail" }, date(at)), el("span", { class: "mark" }, t(`o.state.${state}`))),
      icon("chevron-right"),
    ),
  );
}

const OF_GOODS = ["damaged", "wrong_item", "missing_item"];
const PICTURED = ["damaged", "wrong_item"];

export async function problem(orders, { id }) {
  const found = await orders.api.get(`orders/${id}`);
  const { view, say } = complaint();
  const counts = new Map();
  const client = crypto.randomUUID();
  const which = el("fieldset", { hidden: true }, el("legend", {}, t("o.problem_which")), el("ul", { class: "items" }, found.lines.map((line) => goods({ ...line, quantity: 0 }, stepper(line, line.quantity, 0, (count) => counts.set(line.id, count))))));
  const photos = new Photos(orders.api, say);
  const pictures = el("div", { class: "field", hidden: true }, photos.view);
  const words = field(t("o.problem_words"), { tag: "textarea", rows: "3", maxlength: 2000, dir: "auto" });
  const kinds = el(
    "fieldset",
    {},
    el("legend", {}, t("o.problem_what")),
    found.problems.map((kind) => {
      const radio = el("input", { type: "radio", name: "kind", value: kind, checked: found.problems.length === 1, on: { change: () => chosen() } });
      return el("label", { class: "option" }, radio, el("span", {}, t(`o.problem.${kind}`)));
    }),
  );
  const kind = () => kinds.querySelector(":checked")?.value;
  const wishes = el(
    "fieldset",
    { hidden: true },
    el("legend", {}, t("o.problem_wish")),
    ["replacement", "refund"].map((name) => el("label", { class: "option" }, el("input", { type: "radio", name: "wish", value: name }), el("span", {}, t(`o.remedy.${name}`)))),
  );
  const chosen = () => {
    wishes.hidden = kind() === "other";
    which.hidden = !OF_GOODS.includes(kind());
    pictures.hidden = !PICTURED.includes(kind());
  };
  const send = action(
    t("o.problem_send"),
    async () => {
      if (photos.busy) return say(t("o.photo_going"));
      if (!kind()) return say(t("o.problem_what"));
      const lines = Object.fromEntries([...counts].filter(([, count]) => count > 0));
      const goodsToo = OF_GOODS.includes(kind());
      await orders.api.post(`orders/${id}/problem`, { client_id: client, kind: kind(), words: words.input.value, wish: wishes.hidden ? "" : (wishes.querySelector(":checked")?.value ?? ""), lines: goodsToo ? lines : {}, photos: PICTURED.includes(kind()) ? photos.ids : [] });
      orders.told(t("o.problem_sent"));
    },
    { complain: say, type: "submit" },
  );
  return { title: t("o.problem"), nodes: [form(send, kinds, which, pictures, wishes, words.view, view)] };
}
