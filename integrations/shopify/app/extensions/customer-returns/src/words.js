// Words in the shopper's language, amounts in the order's currency.

/** @param {string} key @param {Record<string, string>} [values] */
export const t = (key, values) => shopify.i18n.translate(key, values);

/** A name, a number or an amount inside a sentence keeps its own direction. @param {string} text */
export const apart = (text) => `\u2068${text}\u2069`;

/** @param {{amount: number, currency: string, exponent: number}} amount in minor units */
export const money = ({ amount, currency, exponent }) =>
  apart(shopify.i18n.formatCurrency(amount / 10 ** exponent, { currency, minimumFractionDigits: exponent, maximumFractionDigits: exponent }));

/** @param {string} day `2026-11-30`, the same day wherever it is read */
export const date = (day) => shopify.i18n.formatDate(new Date(`${day}T12:00:00Z`), { day: "numeric", month: "long", timeZone: "UTC" });

/** @param {number} count */
export const number = (count) => shopify.i18n.formatNumber(count);
