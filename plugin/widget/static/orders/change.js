// What shoppers do to an order themselves: cancel it, send it elsewhere, other goods, the same again.
// First what would happen, as the shop's own system counts it; then yes, and how it went. Loaded when one of them is opened.
import { announce, el, icon } from "../panel/dom.js";
import { money, t } from "../panel/words.js";
import { action, complaint, field, form, goods, meanwhile, part, payment, priced, stepper, sum } from "./pieces.js";

const PAUSES = [700, 900, 1200, 1600, 2000, 2500, 3000];

/** Look at what would happen, then ask whether it is meant. */
async function look(orders, id, asked, how) {
  const seen = await looked(orders, id, asked);
  // Stays in this page: where somebody lives is not kept in the storefront.
  orders.meant = { id, asked, seen };
  return orders.go(seen.refused ? "refused" : "sure", { id, kind: asked.kind, said: seen.refused }, how);
}

/** What the shop's system says of it. That it cannot be done any more is an answer too: the team may still be able to. */
async function looked(orders, id, asked) {
  try {
    return await orders.api.post(`orders/${id}/look`, asked);
  } catch (error) {
    if (error.status !== 409) throw error;
    return { refused: error.message };
  }
}

function wanted({ kind, address }) {
  if (kind !== "address" || !address) return "";
  return [`${address.first_name} ${address.last_name}`.trim(), address.line1, address.line2, `${address.postcode} ${address.city}`.trim(), address.phone].filter(Boolean).join("\n");
}

export async function cancel(orders, { id }) {
  const seen = await looked(orders, id, { kind: "cancel" });
  orders.meant = { id, asked: { kind: "cancel" }, seen };
  return seen.refused ? refused(orders, { id, kind: "cancel", said: seen.refused }) : sure(orders, { id });
}

const FIELDS = [
  ["first_name", "given-name"],
  ["last_name", "family-name"],
  ["line1", "address-line1"],
  ["line2", "address-line2"],
  ["city", "address-level2"],
  ["province", "address-level1"],
  ["postcode", "postal-code"],
  ["phone", "tel"],
];

export async function address(orders, { id }) {
  const { address: now, refused: said } = await orders.api.get(`orders/${id}/address`);
  if (said) return refused(orders, { id, kind: "address", said });
  const { view, say } = complaint();
  const typed = orders.meant?.id === id ? (orders.meant.asked.address ?? {}) : {};
  const fields = FIELDS.map(([name, fill]) => [name, field(t(`o.place.${name}`), { name, autocomplete: fill, dir: name === "phone" || name === "postcode" ? "ltr" : "auto", type: name === "phone" ? "tel" : "text", maxlength: 200, value: typed[name] ?? now[name] ?? "" })]);
  const read = () => ({ ...now, ...Object.fromEntries(fields.map(([name, { input }]) => [name, input.value.trim()])) });
  const send = action(
    t("o.next_step"),
    async () => {
      const wish = read();
      if (!wish.line1 || !wish.city) return say(t("o.address_missing"), fields.find(([name]) => name === (wish.line1 ? "city" : "line1"))[1].input);
      await look(orders, id, { kind: "address", address: wish });
    },
    { complain: say, type: "submit" },
  );
  return { title: t("o.do.address"), nodes: [part("", el("p", { class: "quiet" }, t("o.place_why")), form(send, ...fields.map(([, { view: one }]) => one), view))] };
}

export async function change(orders, { id }) {
  const { lines } = await orders.api.get(`orders/${id}/goods`);
  const { view, say } = complaint();
  const wish = new Map(lines.map((line) => [line.id, { quantity: line.quantity, variant: "" }]));
  const rows = lines.map((line) => {
    const chosen = wish.get(line.id);
    const count = stepper(line, Math.min(99, line.quantity + 10), line.quantity, (value) => (chosen.quantity = value));
    const kinds = line.instead.length > 0 && field(t("o.kind"), { tag: "select", on: { change: (event) => (chosen.variant = event.target.value) } }, el("option", { value: "" }, line.variant || t("o.kind_now")), ...line.instead.map((one) => el("option", { value: one.id }, priced(one.title, one.price))));
    return goods({ ...line, quantity: 0 }, count, kinds && kinds.view);
  });
  const send = action(
    t("o.next_step"),
    async () => {
      const changed = lines.filter(({ id: one, quantity }) => wish.get(one).quantity !== quantity || wish.get(one).variant);
      if (changed.length === 0) return say(t("o.change_nothing"));
      await look(orders, id, { kind: "change", lines: changed.map((line) => ({ id: line.id, ...wish.get(line.id), ...(wish.get(line.id).quantity === 0 ? { variant: "" } : {}) })) });
    },
    { complain: say, type: "submit" },
  );
  return { title: t("o.do.change"), nodes: [part("", el("p", { class: "quiet" }, t("o.change_why")), form(send, el("ul", { class: "items" }, rows), view))] };
}

const apart = (text) => `\u2068${text}\u2069`;

const named = (title, kind) => title.endsWith(kind) && /[ /-]/.test(title.at(-1 - kind.length) ?? " ");

/** A line as it would be: another kind by its name, then how many. */
function becomes({ title, from, to, was, kind }) {
  const kinds = kind ? t("o.from_to", { from: apart(was || t("o.kind_now")), to: apart(kind) }) : was && !named(title, was) && apart(was);
  const count = from === to ? t("o.quantity", { count: String(to) }) : t("o.from_to", { from: String(from), to: String(to) });
  return el("li", { class: "goods" }, el("span", { class: "words" }, el("span", { class: "title" }, el("bdi", {}, title)), kinds && el("span", { class: "detail" }, kinds), el("span", { class: "detail" }, count)));
}

/** What would happen, in amounts; nothing does before they say so. It is there once it was looked at: `orders.meant`. */
export async function sure(orders, { id }) {
  const { view, say } = complaint();
  const { asked, seen } = orders.meant;
  const { kind } = asked;
  const first = meanwhile(orders);
  const yes = action(
    t(`o.yes.${kind}`),
    async () => {
      try {
        await orders.api.post(`orders/${id}/do`, { doing: seen.doing, seen: seen.seen });
      } catch (error) {
        if (error.status !== 409) throw error;
        // It is no longer as it was shown: it is looked at anew, or cannot be done here any more.
        orders.meanwhile = error.message;
        return look(orders, id, asked, { instead: true });
      }
      orders.meant = null;
      orders.settled(id);
      await orders.go("doing", { id, doing: seen.doing }, { instead: true });
    },
    { complain: say },
  );
  return {
    title: t(`o.do.${kind}`),
    nodes: [
      first,
      part(
        t("o.sure"),
        kind === "address" && el("p", { class: "place" }, wanted(asked).split("\n").map((line) => el("span", {}, el("bdi", { dir: line === asked.address.phone ? "ltr" : "auto" }, line)))),
        seen.lines.length > 0 && el("ul", { class: "items" }, seen.lines.map(becomes)),
        kind === "cancel" && el("p", {}, t("o.cancel_what")),
        sum(t("o.cash"), seen.back, true),
        seen.back && el("p", { class: "quiet" }, seen.by_hand ? t("o.by_hand") : seen.gateway ? t("o.back_way", { way: seen.gateway }) : t("o.then.refund")),
        sum(t("o.owed"), seen.owed, true),
        seen.owed && el("p", { class: "quiet" }, t("o.owed_how")),
      ),
      el("div", { class: "doing" }, yes, action(t("o.leave"), () => orders.back(), { quiet: true }), el("p", { class: "quiet" }, t("o.at_once")), view),
    ],
  };
}

/** How it went. The shop's system answers within seconds; whoever leaves finds it here again. */
export async function doing(orders, { id, doing: key }) {
  const body = el("div", { class: "outcome" });
  const shown = await orders.api.get(`orders/${id}/doings/${key}`);
  const fill = (found) => body.replaceChildren(...outcome(orders, id, found).filter(Boolean));
  fill(shown);
  if (shown.state === "sent") follow(orders, body, id, key, fill);
  return { title: t(`o.do.${shown.kind}`), nodes: [body] };
}

async function follow(orders, body, id, key, fill) {
  for (const pause of [...PAUSES, ...Array(20).fill(4000)]) {
    await new Promise((done) => setTimeout(done, pause));
    if (!body.isConnected) return;
    try {
      const found = await orders.api.get(`orders/${id}/doings/${key}`);
      if (found.state === "sent") continue;
      fill(found);
      announce(t(`o.went.${found.state}`));
      return;
    } catch {
      // A slow network says nothing of how it went: it is asked again.
    }
  }
}

function outcome(orders, id, { kind, state, said, back, owed, by_hand: byHand, undo }) {
  const { view, say } = complaint();
  const mood = state === "done" ? "good" : state === "sent" ? "" : "warn";
  const sign = state === "done" ? "check" : state === "sent" ? "clock" : "circle-alert";
  return [
    part(
      "",
      el("p", { class: `notice ${mood}`, role: "status" }, icon(sign), el("span", {}, state === "done" ? t(`o.did.${kind}`) : t(`o.now.${state}`))),
      said && el("p", {}, t("o.said"), " ", el("bdi", {}, said)),
      state === "done" && back && sum(t("o.cash"), back, true),
      state === "done" && back && el("p", { class: "quiet" }, byHand ? t("o.by_hand") : t("o.then.refund")),
      state === "done" && owed && sum(t("o.owed"), owed, true),
    ),
    el(
      "div",
      { class: "doing" },
      state === "done" && owed && payment(async () => (await orders.api.post(`orders/${id}/pay`, {})).link, say),
      state === "done" && undo && action(t("o.undo"), () => look(orders, id, { kind: "address", address: undo }), { complain: say, quiet: true }),
      state === "done" && kind === "cancel" && action(t("o.do.again"), () => orders.go("again", { id }), { quiet: true }),
      action(t("o.back_to"), () => orders.go("order", { id }, { instead: true }), { quiet: true }),
      (state === "failed" || state === "unknown") && action(t("o.to_chat"), () => orders.chat(), { quiet: true }),
      view,
    ),
  ];
}

/** What the shop's system would not do: its words, and the way to the people of the shop. */
export async function refused(orders, { id, kind, said }) {
  orders.meanwhile = "";
  const { view, say } = complaint();
  const client = crypto.randomUUID();
  const more = field(t("o.ask_words"), { tag: "textarea", rows: "3", maxlength: 1800, dir: "auto" });
  more.input.value = orders.meant?.id === id ? wanted(orders.meant.asked) : "";
  const send = action(
    t("o.ask"),
    async () => {
      await orders.api.post(`orders/${id}/ask`, { client_id: client, kind, words: more.input.value, said });
      orders.told(t("o.problem_sent"));
    },
    { complain: say, type: "submit" },
  );
  return { title: t(`o.do.${kind}`), nodes: [part("", el("p", { class: "notice warn" }, icon("circle-alert"), el("bdi", {}, said))), part(t("o.ask_why"), form(send, more.view, view))] };
}

/** A cart of the same, as far as it is still sold. */
export async function again(orders, { id }) {
  const { link, goods: found, gone } = await orders.api.get(`orders/${id}/again`);
  return {
    title: t("o.do.again"),
    nodes: [
      found.length > 0 && part(t("o.again_goods"), el("ul", { class: "items" }, found.map((line) => goods(line)))),
      gone.length > 0 && part(t("o.again_gone"), el("ul", { class: "items" }, gone.map((line) => goods({ ...line, quantity: 0, picture: "" })))),
      el("div", { class: "doing" }, link && el("a", { class: "button", href: link, target: "_top" }, t("o.again_cart")), !link && el("p", { class: "quiet" }, t("o.again_none")), action(t("o.back_to"), () => orders.back(), { quiet: true })),
    ],
  };
}
