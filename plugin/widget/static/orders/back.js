// Sending something back, step by step: what, why, what for, how, and what comes of it. Every step is kept.
import { el, icon } from "../panel/dom.js";
import { money, t } from "../panel/words.js";
import { instead, swapOf } from "./instead.js";
import { method } from "./method.js";
import { Photos } from "./photos.js";
import { action, complaint, date, field, form, goods, part, stepper, sum } from "./pieces.js";

/** `change`: the return that is asked for anew; what it says so far is where one begins. */
export async function back(orders, { order, step = 1, change = "" }) {
  const known = orders.state.back;
  const same = known?.order === order && (known.change ?? "") === change;
  const wish = same ? known : { order, change, items: {}, resolution: "", gift: false, client: crypto.randomUUID() };
  const keep = (part) => orders.remember({ back: Object.assign(wish, part) });
  const base = change ? `returns/${change}` : `orders/${order}`;
  if (orders.offered?.base !== base || step === 1) {
    const offered = await orders.api.get(`${base}/offer?gift=${wish.gift ? 1 : 0}`);
    if (!same && offered.wish) keep(offered.wish);
    orders.offered = { base, ...offered };
  }
  const offer = orders.offered;
  const STEPS = [items, reasons, resolution, ...(offer.ways.length > 0 && !(offer.keeps && wish.kept) ? [method] : []), review];
  const chosen = offer.lines.filter(({ id, most }) => Math.min(wish.items[id]?.quantity ?? 0, most) > 0);
  const at = chosen.length === 0 ? 1 : Math.min(step, STEPS.length);
  const screen = await STEPS[at - 1](orders, { offer, wish, keep, chosen, base, next: () => orders.go("back", { order, step: at + 1, change }, { instead: true }) });
  return { ...screen, nodes: [el("p", { class: "progress" }, t("o.step_of", { step: String(at), steps: String(STEPS.length) })), ...screen.nodes] };
}

async function items(orders, { offer, wish, keep, next }) {
  const { view, say } = complaint();
  const row = (line) => {
    if (line.most === 0) return goods({ ...line, quantity: 0 }, el("span", { class: "mark" }, line.why_not));
    const item = (wish.items[line.id] ??= { quantity: 0, reason: "", words: "", kept: [], photos: [], instead: "" });
    item.quantity = Math.min(item.quantity, line.most);
    return goods(
      { ...line, quantity: 0 },
      line.until && el("span", { class: "detail" }, t("o.until", { date: date(line.until) })),
      stepper(line, line.most, item.quantity, (count) => {
        item.quantity = count;
        keep({});
      }),
    );
  };
  const gift = el("input", { type: "checkbox", checked: wish.gift, on: { change: () => (keep({ gift: gift.checked }), orders.go("back", { order: wish.order, step: 1, change: wish.change }, { instead: true })) } });
  const go = action(
    t("o.next_step"),
    () => {
      if (!Object.values(wish.items).some(({ quantity }) => quantity > 0)) return say(t("o.choose_one"));
      return next();
    },
    { complain: say, type: "submit" },
  );
  const any = offer.lines.some(({ most }) => most > 0);
  return {
    title: t("o.return"),
    nodes: [
      !wish.change && offer.open.map(({ id, number }) => el("p", { class: "notice" }, icon("package"), el("span", {}, t("o.under_way", { number }), " ", action(t("o.look"), () => orders.go("made", { id }), { quiet: true })))),
      part(
        t("o.what"),
        form(any ? go : action(t("o.to_chat"), () => orders.chat()), el("ul", { class: "items" }, offer.lines.map(row)), any ? el("label", { class: "option" }, gift, el("span", {}, t("o.gift"))) : el("p", { class: "quiet" }, t("o.nothing")), view),
      ),
    ]
      .flat()
      .filter(Boolean),
  };
}

/** The tree of reasons as groups of a list, so that a phone shows its own chooser. */
function choices(reasons, under = "") {
  return reasons.flatMap(({ code, words, children }) =>
    children.length > 0
      ? [el("optgroup", { label: under ? `${under} · ${words}` : words }, children.every((child) => child.children.length === 0) ? choices(children) : []), ...children.filter((child) => child.children.length > 0).flatMap((child) => choices([child], words))]
      : [el("option", { value: code }, words)],
  );
}

const leaf = (reasons, code) => reasons.reduce((found, one) => found ?? (one.children.length > 0 ? leaf(one.children, code) : one.code === code ? one : null), null);

async function reasons(orders, { chosen, wish, keep, next }) {
  const { view, say } = complaint();
  const trays = [];
  const asked = chosen.map((line) => {
    const item = wish.items[line.id];
    const why = field(t("o.why"), { tag: "select", required: true }, el("option", { value: "" }, t("o.why_choose")), ...choices(line.reasons));
    why.input.value = leaf(line.reasons, item.reason) ? item.reason : "";
    const words = field(t("o.own_words"), { tag: "textarea", rows: "2", maxlength: 2000, dir: "auto" });
    words.input.value = item.words;
    const photos = new Photos(orders.api, say, () => keep({ items: { ...wish.items, [line.id]: Object.assign(item, { photos: photos?.kept ?? item.photos }) } }));
    photos.restore(item.photos);
    trays.push({ line, item, photos, why: why.input });
    const label = el("p", { class: "label" });
    const needed = () => {
      label.textContent = line.photo || leaf(line.reasons, item.reason)?.photo ? t("o.photos_needed") : t("o.photos_optional");
    };
    why.input.addEventListener("change", () => (keep({ items: { ...wish.items, [line.id]: Object.assign(item, { reason: why.input.value }) } }), needed()));
    words.input.addEventListener("input", () => ((item.words = words.input.value), keep({})));
    needed();
    return el(
      "fieldset",
      {},
      el("legend", {}, el("ul", { class: "items" }, goods({ ...line, quantity: item.quantity }))),
      why.view,
      words.view,
      line.conditions.length > 0 &&
        el(
          "div",
          { class: "field" },
          el("p", { class: "label" }, t("o.conditions")),
          line.conditions.map(({ code, words: said }) => {
            const box = el("input", { type: "checkbox", checked: item.kept.includes(code), on: { change: () => ((item.kept = box.checked ? [...item.kept, code] : item.kept.filter((one) => one !== code)), keep({})) } });
            return el("label", { class: "option" }, box, el("span", { dir: "auto" }, said));
          }),
        ),
      el("div", { class: "field" }, label, photos.view),
    );
  });
  const go = action(
    t("o.next_step"),
    () => {
      for (const { line, item, photos, why } of trays) {
        if (!item.reason) return say(t("o.why_missing", { item: line.title }), why);
        if (photos.busy) return say(t("o.photo_going"));
        item.photos = photos.kept;
        if ((line.photo || leaf(line.reasons, item.reason)?.photo) && item.photos.length === 0 && !wish.photographed) return say(t("o.photo_missing", { item: line.title }));
      }
      if (trays.reduce((sum, { item }) => sum + item.photos.length, 0) > 5) return say(t("o.photos_many"));
      keep({});
      return next();
    },
    { complain: say, type: "submit" },
  );
  return { title: t("o.why_title"), nodes: [form(go, ...asked, view)] };
}

async function resolution(orders, { offer, chosen, wish, keep, next, base }) {
  const { view, say } = complaint();
  const offered = Object.keys(offer.resolutions).filter((one) => chosen.every((line) => line.resolutions.includes(one) && (one !== "exchange" || offer.any || line.instead.length > 0)));
  if (!offered.includes(wish.resolution)) keep({ resolution: offered.length === 1 ? offered[0] : "" });
  const swaps = el(
    "div",
    { hidden: true },
    chosen.map((line) => instead(orders, { line, item: wish.items[line.id], order: wish.order, any: offer.any, keep, say })),
  );
  const set = el(
    "fieldset",
    {},
    el("legend", {}, t("o.wish")),
    offered.map((one) => {
      const radio = el("input", { type: "radio", name: "resolution", value: one, checked: wish.resolution === one, on: { change: () => (keep({ resolution: one }), show()) } });
      return el("label", { class: "option" }, radio, el("span", {}, el("span", { class: "title" }, offer.resolutions[one]), el("span", { class: "detail" }, t(`o.wish.${one}`))));
    }),
  );
  const show = () => (swaps.hidden = wish.resolution !== "exchange");
  show();
  const go = action(
    t("o.next_step"),
    async () => {
      if (!wish.resolution) return say(t("o.wish_missing"));
      const bare = wish.resolution === "exchange" && chosen.find(({ id }) => !wish.items[id].instead);
      if (bare) return say(t("o.instead_missing", { item: bare.title }));
      // What a shop does not want back is not asked how it gets there.
      if (offer.keeps) keep({ kept: (await orders.api.post(`${base}/decision`, asWish(wish, chosen))).keep });
      return next();
    },
    { complain: say, type: "submit" },
  );
  if (offered.length === 0) return { title: t("o.wish_title"), nodes: [part("", el("p", { class: "notice warn" }, icon("circle-alert"), el("span", {}, t("o.wish_none"))), action(t("o.to_chat"), () => orders.chat()))] };
  return { title: t("o.wish_title"), nodes: [form(go, set, swaps, view)] };
}

const asWish = (wish, chosen) => ({
  resolution: wish.resolution,
  gift: wish.gift,
  method: wish.method ?? "",
  place: wish.place || null,
  day: wish.day ?? "",
  items: chosen.map(({ id }) => {
    const { quantity, reason, words, kept, photos, instead: wanted } = wish.items[id];
    return { line: id, quantity, reason, words, kept, photos: photos.map((photo) => photo.id), instead: wish.resolution === "exchange" ? wanted : "" };
  }),
});

const less = (fee) => fee && { ...fee, amount: -fee.amount };

async function review(orders, { offer, chosen, wish, base }) {
  const { view, say } = complaint();
  const wanted = asWish(wish, chosen);
  const decided = await orders.api.post(`${base}/decision`, wanted);
  if (decided.refused.length > 0) {
    const name = (id) => chosen.find((line) => line.id === id)?.title;
    return {
      title: t("o.review_title"),
      nodes: [
        part("", el("ul", { class: "refused" }, decided.refused.map(({ line, words }) => el("li", { class: "notice warn" }, icon("circle-alert"), el("span", {}, name(line) && el("bdi", { class: "title" }, name(line)), " ", words)))), action(t("o.change"), () => orders.go("back", { order: wish.order, step: 1, change: wish.change }, { instead: true }))),
      ],
    };
  }
  const way = offer.ways.find(({ code }) => code === wish.method);
  const send = action(
    t(wish.change ? "o.confirm_change" : "o.confirm"),
    async () => {
      try {
        const told = { wish: wanted, digest: decided.digest };
        const { id } = await (wish.change ? orders.api.post(`${base}/change`, told, { wait: 45 }) : orders.api.post(`${base}/returns`, { client_id: wish.client, ...told }, { wait: 45 }));
        await orders.finished(id);
      } catch (error) {
        if (error.code !== "decision_changed") throw error;
        await orders.go("back", { order: wish.order, step: 5, change: wish.change }, { instead: true });
      }
    },
    { complain: say, type: "submit" },
  );
  const line = (one) => chosen.find(({ id }) => id === one.id);
  const swapped = wish.resolution === "exchange" && chosen.map((one) => swapOf(one, wish.items[one.id])).filter(Boolean).join(", ");
  return {
    title: t("o.review_title"),
    nodes: [
      part(
        offer.resolutions[wish.resolution],
        el("ul", { class: "items" }, decided.lines.map((one) => goods({ ...line(one), quantity: one.quantity }, el("bdi", { class: "price" }, money(one.goods))))),
        sum(t("o.else_gets"), swapped),
        sum(t("o.restocking"), less(decided.restocking)),
        sum(t("o.shipping_fee"), less(decided.shipping)),
        sum(t("o.delivery_back"), decided.delivery),
        decided.capped && el("p", { class: "quiet" }, t("o.capped")),
        sum(t("o.cash"), decided.cash, true),
        sum(t("o.credit"), decided.credit, !decided.bonus),
        sum(t("o.bonus"), decided.bonus),
        decided.bonus && sum(t("o.credit_all"), { ...decided.credit, amount: decided.credit.amount + decided.bonus.amount }, true),
        sum(t("o.owed"), decided.owed, true),
        decided.owed && el("p", { class: "quiet" }, t("o.owed_when")),
        !decided.keep && way && el("p", { class: "sum" }, el("span", {}, t("o.way")), el("span", {}, [way.words, wish.day && date(wish.day)].filter(Boolean).join(" · "), wish.place && wish.where && [" · ", el("bdi", {}, wish.where)])),
        decided.keep && el("p", { class: "notice good" }, icon("check"), el("span", {}, t("o.keep"))),
        el("p", { class: "quiet" }, decided.review ? t("o.reviewed") : t("o.at_once")),
      ),
      form(send, view),
    ],
  };
}
