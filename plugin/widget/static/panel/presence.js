// Who answers, and when: one honest line, the same on every screen.
import { el } from "./dom.js";
import { config, duration, promise, t } from "./words.js";

const PROMISES = { minutes: "presence.minutes", hours: "presence.hours", day: "presence.day" };

/** How soon an answer comes: what the shop promises, else what its latest answers took, else nothing. */
function usual(minutes) {
  const { answers } = config;
  if (answers === "none") return "";
  if (PROMISES[answers]) return t(PROMISES[answers]);
  return minutes ? t("presence.reply", { time: duration(minutes) }) : "";
}

/** `{here, line, detail}` from what the server last said. */
export function presence() {
  const { agents, reply_minutes: minutes, away_minutes: away, back_at: back } = config;
  if (agents > 0) return { here: true, line: t("presence.here"), detail: usual(minutes) };
  const detail = back && new Date(back) > new Date() ? t("presence.back", { time: promise(new Date(back)) }) : usual(away) || t("presence.soon");
  return { here: false, line: t("presence.away"), detail };
}

/** The line as an element; `short` leaves out what the dot already says. */
export function presenceLine(short = false) {
  const { here, line, detail } = presence();
  const words = short && here && detail ? [detail] : [line, detail && el("span", { class: "detail" }, " · ", detail)];
  return el(
    "p",
    { class: "presence" },
    el("span", { class: here ? "dot here" : "dot", "aria-hidden": "true" }),
    el("span", {}, ...words),
  );
}
