// What comes instead of something: its own other variants, or something else of the shop.
import { el } from "../panel/dom.js";
import { t } from "../panel/words.js";
import { action, field, priced } from "./pieces.js";

/** What was chosen instead of a line, in words. */
export function swapOf(line, item) {
  const own = line.instead.find(({ id }) => id === item.instead);
  return own ? [line.title, own.title].filter(Boolean).join(" · ") : (item.other ?? "");
}

export function instead(orders, { line, item, order, any, keep, say }) {
  const choice = field(t("o.instead", { item: line.title }), { tag: "select" });
  const fill = (more = []) => {
    const own = line.instead.map(({ id, title, price }) => el("option", { value: id }, priced(title || line.title, price)));
    const found = more.map(({ id, title, price }) => el("option", { value: id }, priced(title, price)));
    const known = [...line.instead, ...more].some(({ id }) => id === item.instead);
    const before = item.instead && item.other && !known ? [el("option", { value: item.instead }, item.other)] : [];
    choice.input.replaceChildren(el("option", { value: "" }, t("o.why_choose")), ...own, ...before, ...(found.length > 0 ? [el("optgroup", { label: t("o.else") }, found)] : []));
    choice.input.value = known || before.length > 0 ? item.instead : "";
    choice.titles = Object.fromEntries(more.map(({ id, title }) => [id, title]));
  };
  fill();
  choice.input.addEventListener("change", () => ((item.instead = choice.input.value), (item.other = choice.titles?.[item.instead] ?? ""), keep({})));
  if (!any) return choice.view;
  const words = field(t("o.else_find"), { maxlength: 80, dir: "auto", enterkeyhint: "search" });
  const none = el("p", { class: "quiet", role: "status" });
  const look = action(
    t("o.else_look"),
    async () => {
      if (!words.input.value.trim()) return;
      const { products } = await orders.api.get(`orders/${order}/instead?q=${encodeURIComponent(words.input.value)}`);
      none.textContent = products.length > 0 ? "" : t("o.else_none");
      fill(products);
      if (products.length > 0) choice.input.focus();
    },
    { complain: say, quiet: true },
  );
  words.input.addEventListener("keydown", (event) => event.key === "Enter" && look.press(event));
  return el("div", { class: "swap" }, choice.view, el("details", { class: "fold" }, el("summary", {}, t("o.else")), words.view, look, none));
}
