// The shopper's orders in a page of the store: a frame where the script stands, as tall as what it shows.
// data-*: server store identity locale accent theme screen (orders, withdrawal) title. `?return=` opens a return, `?order=` an order.
(() => {
  const script = document.currentScript;
  const set = script.dataset;
  const { origin } = new URL(set.server);
  const asked = new URLSearchParams(location.search);
  const locale = asked.get("locale") || set.locale || document.documentElement.lang || "en";
  // In every language of the product; page_loader in page.py writes them here.
  const every = "WORDS";
  const said = every[locale.toLowerCase()] || every[locale.slice(0, 2)] || every.en;
  const title = set.title || said[set.screen] || said.orders;

  // What the shop's banner allows; undefined: nobody is asked.
  const may = (what, wordpress = what) => {
    try {
      return window.Shopify ? Shopify.customerPrivacy[what + "ProcessingAllowed"]() : wp_has_consent(wordpress);
    } catch {}
  };

  // The same places as the chat's: one shopper, one browser.
  const prefix = `ahlan:${set.store}:`;
  const kept = () => {
    const all = {};
    try {
      const held = { ...sessionStorage, ...localStorage };
      for (const key in held) if (key.startsWith(prefix)) all[key.slice(prefix.length)] = held[key];
    } catch {}
    return all;
  };
  const keep = (key, value) => {
    try {
      localStorage.removeItem(prefix + key);
      const storage = may("preferences") === false ? sessionStorage : localStorage;
      value ? storage.setItem(prefix + key, value) : storage.removeItem(prefix + key);
    } catch {}
  };

  const ask = async () => {
    try {
      const url = new URL(set.identity, location.href);
      if (!set.identity || url.origin !== location.origin) return;
      const answer = await fetch(url, { signal: AbortSignal.timeout(2e4) });
      return answer.status === 204 ? null : (await answer.json()).token;
    } catch {}
  };

  const page = () => {
    const consent = { analytics: may("analytics", "statistics"), preferences: may("preferences") };
    return { consent, ...(consent.analytics !== false && { url: location.origin + location.pathname, title: document.title }) };
  };

  // A page that knows no dark has no dark part either.
  const theme = set.theme || (/dark/.test(getComputedStyle(document.documentElement).colorScheme) ? "" : "light");
  const frame = document.createElement("iframe");
  frame.title = title;
  frame.src = `${origin}/widget/frame?store=${encodeURIComponent(set.store)}&locale=${encodeURIComponent(locale)}`;
  // Until its first screen is there: three pale bars, as it draws them itself.
  frame.style.cssText = "display:block;inline-size:100%;block-size:640px;border:0;background:repeating-linear-gradient(#8882 0 76px,#0000 0 92px) 0 72px/100% 260px no-repeat";
  const late = setTimeout(() => {
    const words = document.createElement("p");
    words.setAttribute("role", "status");
    words.textContent = said.late;
    frame.before(words);
    there = () => words.remove();
  }, 20000);
  let there = () => clearTimeout(late);
  let who = ask();
  frame.onload = () => {
    const back = asked.get("return") || "";
    const order = asked.get("order") || "";
    const hello = { type: "ahlan:hello", page: page(), kept: kept(), accent: set.accent, theme, open: true, full: false, screen: set.screen || "orders", back, order };
    frame.contentWindow.postMessage(hello, origin);
  };
  addEventListener("message", ({ source, origin: from, data }) => {
    if (source !== frame.contentWindow || from !== origin || !data) return;
    const { type, key, value } = data;
    if (type === "ahlan:keep" && /^(secret|unread|live|draft|flow|out:[\w-]+)$/.test(key)) keep(key, value);
    if (type === "ahlan:identity") {
      (who || ask()).then((identity) => frame.contentWindow.postMessage({ type, identity }, origin));
      who = 0;
    }
    if (type === "ahlan:ready") there();
    if (type === "ahlan:tall" && data.height > 120) frame.style.background = "";
    if (type === "ahlan:tall" && data.height > 0) frame.style.blockSize = `${Math.min(20000, Math.ceil(data.height))}px`;
    if (type === "ahlan:top") frame.getBoundingClientRect().top < 0 && frame.scrollIntoView();
  });
  script.replaceWith(frame);
})();
