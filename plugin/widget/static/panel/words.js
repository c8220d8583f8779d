// Words, numbers and dates in the shopper's language. The catalogue arrives with the page.

export const config = JSON.parse(document.getElementById("config").textContent);

const strings = config.strings;
const locale = config.locale + (config.digits ? `-u-nu-${config.digits}` : "");
const plurals = new Intl.PluralRules(config.locale);
const numbers = new Intl.NumberFormat(locale);

/** What somebody typed keeps its own direction inside our sentence. */
export const isolate = (text) => `\u2068${text}\u2069`;

/** The text of `key` with {placeholders} filled; values are isolated. */
export function t(key, values = {}) {
  // An amount may end in a full stop of its own: then it ends the sentence, too.
  return strings[key].replace(/\{(\w+)\}/g, (whole, name) => (name in values ? isolate(values[name]) : whole)).replace(/(\.\u200f?\u2069)\./g, "$1");
}

/** The text of `key` in the plural form that `count` asks for in this language. */
export function plural(key, count) {
  const text = strings[`${key}.${plurals.select(count)}`] ?? strings[`${key}.other`];
  return text.replace("{count}", numbers.format(count));
}

/** A waiting time given in minutes, in the largest unit that says it honestly (rounded up). */
export function duration(minutes) {
  if (minutes < 60) return plural("minutes", Math.max(1, Math.ceil(minutes)));
  if (minutes < 24 * 60) return plural("hours", Math.ceil(minutes / 60));
  return plural("days", Math.ceil(minutes / (24 * 60)));
}

const clock = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" });

export const time = (date) => clock.format(date);
export const moment = (date) => exact.format(date);

/** Minor units of a currency as people write them. */
export function money({ amount, currency, exponent }) {
  const text = new Intl.NumberFormat(locale, { style: "currency", currency }).format(amount / 10 ** exponent);
  // The sign of "US$" would jump before its letters in a line from right to left.
  return text.replace(/[A-Z][$£¥]/g, "$&\u200e");
}

const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());

/** The day as people say it: today, yesterday, a weekday this week, then the date. */
export function day(date, now = new Date()) {
  const ago = Math.round((midnight(now) - midnight(date)) / 864e5);
  if (ago === 0) return t("chat.today");
  if (ago === 1) return t("chat.yesterday");
  if (ago > 1 && ago < 7) return new Intl.DateTimeFormat(locale, { weekday: "long" }).format(date);
  const year = date.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return new Intl.DateTimeFormat(locale, { day: "numeric", month: "long", year }).format(date);
}

/** A promise in the shop's own time zone, which is named when the reader lives in another. */
export function promise(date) {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const timeZone = config.time_zone ?? here;
  const soon = date - Date.now() < 20 * 3600e3;
  return new Intl.DateTimeFormat(locale, {
    timeZone,
    weekday: soon ? undefined : "long",
    hour: "numeric",
    minute: "2-digit",
    timeZoneName: timeZone === here ? undefined : "short",
  }).format(date);
}

/** The size of a file. In words of ours: browsers write "kB" into Arabic and Hebrew lines. */
export function size(bytes) {
  if (bytes < 1024 * 1024) return t("file.kb", { size: numbers.format(Math.max(1, Math.round(bytes / 1024))) });
  return t("file.mb", { size: numbers.format(Math.round(bytes / 1024 / 102.4) / 10) });
}
