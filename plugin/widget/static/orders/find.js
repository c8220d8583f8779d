// Finding an order that no account stands for: its number, a code to the address on it, or a call from the shop.
import { el, icon } from "../panel/dom.js";
import { t } from "../panel/words.js";
import { signIn } from "./account.js";
import { action, complaint, field, form, part } from "./pieces.js";

const ARABIC = /[\u0660-\u0669\u06f0-\u06f9]/g;
/** Arabic-Indic digits as the ones that codes are compared in. */
export const digits = (text) => text.replace(ARABIC, (sign) => String(sign.charCodeAt(0) & 15)).replace(/\D/g, "");

// A second press sends a second code: only the last one opens the order.
const lost = (error) => (error && !error.message ? t("o.code_lost") : error);

const uncoded = (orders, number) => part("", el("p", { class: "quiet" }, t("o.no_code")), action(t("o.call"), () => orders.go("call", { number: number() }), { quiet: true }));

export async function find(orders, { why = "" }) {
  const { signed_in: signedIn, sign_in: path, codes } = await orders.api.get("orders");
  if (!codes) return call(orders, { number: orders.state.number ?? "", uncoded: true, path });
  const { view, say } = complaint();
  if (why) say(why);
  const number = field(t("o.number"), { hint: t("o.number_hint"), name: "number", dir: "auto", autocomplete: "off", maxlength: 60, value: orders.state.number ?? "" });
  const contact = field(t("o.contact"), { name: "contact", dir: "ltr", autocomplete: "email", autocapitalize: "none", spellcheck: "false", maxlength: 200 });
  const otherwise = uncoded(orders, () => number.input.value);
  otherwise.hidden = true;
  const send = action(
    t("o.send_code"),
    async () => {
      orders.remember({ number: number.input.value.trim() });
      const asked = await orders.api.post("orders/find", { number: number.input.value, contact: contact.input.value });
      // Whose address it is stays out of what is kept.
      orders.contact = contact.input.value;
      await orders.go("code", { asked: asked.asked, minutes: asked.minutes, number: number.input.value });
    },
    {
      complain: (error) => {
        otherwise.hidden = error.code !== "too_many";
        say(lost(error), { order_number: number.input, contact: contact.input }[error.code]);
      },
      type: "submit",
    },
  );
  return {
    title: t("o.find"),
    nodes: [signIn(orders, path), part("", el("p", { class: "quiet" }, t("o.find_why")), form(send, number.view, contact.view, view)), otherwise, signedIn && part("", action(t("o.mine"), () => orders.go("list"), { quiet: true }))],
  };
}

export async function code(orders, { asked, minutes, number, again: more }) {
  const { view, say } = complaint();
  const input = field(t("o.code_label"), { name: "code", class: "code", dir: "ltr", inputmode: "numeric", autocomplete: "one-time-code", maxlength: 20 });
  const open = action(
    t("o.open"),
    async () => {
      const { order } = await orders.api.post("orders/code", { asked, code: digits(input.input.value) });
      await orders.go("order", { id: order }, { instead: true });
    },
    { complain: (error) => say(error, error && input.input), type: "submit" },
  );
  const again = action(
    t("o.resend"),
    async () => {
      if (!orders.contact) return orders.back();
      const next = await orders.api.post("orders/find", { number, contact: orders.contact });
      await orders.go("code", { asked: next.asked, minutes: next.minutes, number, again: true }, { instead: true });
    },
    { complain: (error) => say(lost(error)), quiet: true },
  );
  return {
    title: t("o.code"),
    nodes: [
      more && el("p", { class: "notice", role: "status" }, icon("check"), el("span", {}, t("o.resent"))),
      part("", el("p", { class: "quiet" }, t("o.code_why", { minutes: String(minutes) })), form(open, input.view, view)),
      part("", el("div", { class: "row" }, again, action(t("o.details"), () => orders.back(), { quiet: true }))),
      uncoded(orders, () => number),
    ],
    after: () => matchMedia("(pointer: coarse)").matches || setTimeout(() => input.input.focus()),
  };
}

export async function call(orders, { number = "", uncoded = false, path = "" }) {
  const { view, say } = complaint();
  const name = field(t("o.number"), { dir: "auto", maxlength: 60, value: number });
  const phone = field(t("o.phone"), { type: "tel", dir: "ltr", autocomplete: "tel", maxlength: 40 });
  const words = field(t("o.call_words"), { tag: "textarea", rows: "4", maxlength: 2000, dir: "auto" });
  // Made once for this screen: a second press, or a lost answer, sends no second request.
  const client = crypto.randomUUID();
  const send = action(
    t("o.call_send"),
    async () => {
      await orders.api.post("orders/call", { client_id: client, number: name.input.value, phone: phone.input.value, words: words.input.value });
      orders.told(t("o.call_sent"));
    },
    { complain: (error) => say(error, { order_number: name.input, phone: phone.input, words_needed: words.input }[error.code]), type: "submit" },
  );
  return {
    title: t(path ? "o.find" : "o.call_title"),
    nodes: [signIn(orders, path), part("", el("p", { class: "quiet" }, uncoded ? t("o.no_codes") : t("o.call_why")), form(send, name.view, phone.view, words.view, view))],
  };
}
