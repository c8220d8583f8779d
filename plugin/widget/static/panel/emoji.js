// A small board of emoji beside the composer; phones bring their own keyboard of them.
import { el, iconButton } from "./dom.js";
import { t } from "./words.js";

const BOARD = "😀 😄 😂 🙂 😉 😊 😍 🥰 😘 🤗 🤔 😐 😕 🙁 😢 😭 😡 😱 🥳 😴 👍 👎 👌 🙏 👏 🙌 💪 👋 🤝 ❤️ 💔 💐 🌹 ⭐ 🔥 🎉 🎁 ✅ ❌ ❓ 📦 🚚".split(" ");

/** `{button, board}`: `choose(sign)` hears what was picked. */
export function emoji(choose) {
  const board = el(
    "div",
    { class: "emoji", role: "group", "aria-label": t("chat.emoji"), hidden: true },
    BOARD.map((sign) => el("button", { type: "button", on: { click: () => choose(sign) } }, sign)),
  );
  const show = (whether) => {
    board.hidden = !whether;
    button.setAttribute("aria-expanded", String(whether));
  };
  const button = iconButton("smile", t("chat.emoji"), () => show(board.hidden), { class: "emoji-open", "aria-expanded": "false" });
  board.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation(); // it closes the board, not the chat
    show(false);
    button.focus();
  });
  return { button, board, hide: () => show(false) };
}
