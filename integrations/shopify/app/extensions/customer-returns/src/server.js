// Our own server, for whoever Shopify's session token names. A token lasts five minutes: each request gets its own.
export const SERVER = new URL(process.env.APP_URL).origin;
const PATIENCE = 45_000;

/** The server said no, in words for the shopper; `code` "" is no answer at all. */
export class Refused extends Error {
  /** @param {string} message @param {string} code */
  constructor(message, code = "") {
    super(message);
    this.code = code;
  }
}

/**
 * @param {string} path
 * @param {unknown} [body] a form as it is, all else as JSON; without one it is a question
 * @returns {Promise<any>}
 */
export async function ask(path, body) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), PATIENCE);
  const late = new Promise((_, refuse) => stop.signal.addEventListener("abort", refuse));
  let answer, said;
  try {
    // Shopify's own part can fail or hang as well, and then speaks English.
    const token = await Promise.race([shopify.sessionToken.get(), late]);
    const headers = { Authorization: `Bearer ${token}`, "Accept-Language": shopify.localization.language.value.isoCode };
    answer = await fetch(`${SERVER}/widget/account/shopify${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: body === undefined || body instanceof FormData ? headers : { ...headers, "Content-Type": "application/json" },
      body: body instanceof FormData ? body : body === undefined ? undefined : JSON.stringify(body),
      signal: stop.signal,
    });
    said = answer.status === 204 ? null : await answer.json();
  } catch {
    throw new Refused("");
  } finally {
    clearTimeout(timer);
  }
  if (answer.ok) return said;
  const { code = "", message = "", what_to_do: hint = "" } = said?.error ?? {};
  throw new Refused(answer.status < 500 || code === "store_away" ? [message, hint].filter(Boolean).join(" ") : "", code);
}
