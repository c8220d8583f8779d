// Signing in with the account at the shop: in a window of its own, which hands us a word for it and goes away.
import { el } from "../panel/dom.js";
import { config, t } from "../panel/words.js";
import { action, complaint, part } from "./pieces.js";

const KEPT = `ahlan:${config.store}:account`;

/** A button that signs in; nothing where the shop has no accounts. */
export function signIn(orders, path) {
  if (!path) return null;
  const { view, say } = complaint();
  return part("", action(t("o.sign_in"), () => go(orders, path, say), { complain: say }), el("p", { class: "quiet" }, t("o.sign_in_why")), view);
}

async function go(orders, path, say) {
  const mark = crypto.randomUUID();
  const url = new URL(`${path}?${new URLSearchParams({ store: config.store, locale: config.locale, mark })}`, location.href);
  // On a page of our own, and where no window may open, this one goes there; it comes back to a page of our own.
  const opened = config.page ? null : open(url, "_blank", "popup,width=480,height=720");
  if (!opened) return void ((config.page ? window : top).location.href = url);
  const word = await heard(opened, mark);
  if (!word) return say(t("o.sign_in_failed"));
  await take(orders, word);
  if (orders.view.isConnected) await orders.go("list", {}, { instead: true });
}

/** The word from that very window; null when it was closed without one. */
function heard(opened, mark) {
  return new Promise((resolve) => {
    const hear = ({ source, origin, data }) => {
      if (source !== opened || origin !== location.origin || data?.type !== "ahlan:account" || data.mark !== mark) return;
      source.postMessage({ mark }, origin);
      done(data.word);
    };
    const watch = setInterval(() => opened.closed && done(null), 500);
    const done = (word) => {
      clearInterval(watch);
      removeEventListener("message", hear);
      resolve(word);
    };
    addEventListener("message", hear);
  });
}

async function take(orders, word) {
  const { secret } = await orders.api.post("orders/sign-in", { word });
  if (secret) orders.api.secret = secret;
  await orders.api.session();
}

/** Back on a page of our own from signing in: the word lies in this tab. */
export async function arrive(orders) {
  const word = config.page && sessionStorage.getItem(KEPT);
  if (!word) return;
  sessionStorage.removeItem(KEPT);
  await take(orders, word).catch(() => {}); // too old by now: the screen offers it once more
}

/** Out again, in this browser only: the account at the shop stays as it is. */
export function signOut(orders) {
  const leave = async () => {
    await orders.api.post("orders/sign-out");
    await orders.api.session();
    if (orders.view.isConnected) await orders.go("list", {}, { instead: true });
  };
  return action(t("o.sign_out"), leave, { quiet: true });
}
