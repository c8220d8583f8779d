// Stand-in for Shopify's App Bridge: the parts of its contract that Ahlan uses, and no others.
// The page around the frame answers by postMessage; its origin is the one this file came from.
(() => {
  "use strict";
  if (window.shopify) return;
  const admin = new URL(document.currentScript.src).origin;
  const meta = document.querySelector('meta[name="shopify-api-key"]');
  const apiKey = meta ? meta.content : document.currentScript.dataset.apiKey;
  const launch = new URLSearchParams(location.search);
  const waiting = new Map();
  let counter = 0;

  const ask = (type, detail = {}) =>
    new Promise((resolve, reject) => {
      const id = ++counter;
      waiting.set(id, { resolve, reject });
      window.parent.postMessage({ bridge: "app", id, type, ...detail }, admin);
      // A question to the merchant waits for the merchant.
      if (type === "scopes" && detail.action === "request") return;
      setTimeout(() => {
        if (waiting.delete(id)) reject(new Error(`App Bridge: no answer to ${type}`));
      }, 30000);
    });
  const tell = (type, detail = {}) => window.parent.postMessage({ bridge: "app", type, ...detail }, admin);

  window.addEventListener("message", (event) => {
    if (event.source !== window.parent || event.origin !== admin || !event.data || event.data.bridge !== "admin") return;
    const { id, type, value, error } = event.data;
    if (type === "navigate") {
      follow(String(event.data.href));
      return;
    }
    const held = waiting.get(id);
    if (!held) return;
    waiting.delete(id);
    if (error) held.reject(new Error(error));
    else held.resolve(value);
  });

  const idToken = () => ask("id-token");
  const plainFetch = window.fetch.bind(window);

  const authorized = async (request) => {
    const headers = new Headers(request.headers);
    if (!headers.has("Authorization")) headers.set("Authorization", `Bearer ${await idToken()}`);
    headers.set("X-Requested-With", headers.get("X-Requested-With") || "XMLHttpRequest");
    return new Request(request, { headers });
  };

  window.fetch = async (input, init) => {
    const request = new Request(input, init);
    if (new URL(request.url).origin !== location.origin) return plainFetch(request);
    const again = request.clone();
    const given = request.headers.has("Authorization");
    const answer = await plainFetch(await authorized(request));
    const leave = answer.headers.get("X-Shopify-API-Request-Failure-Reauthorize-Url");
    if (leave) {
      tell("top", { href: new URL(leave, location.href).href });
      return answer;
    }
    if (answer.status === 401 && !given && answer.headers.get("X-Shopify-Retry-Invalid-Session-Request")) {
      return plainFetch(await authorized(again));
    }
    return answer;
  };

  // A document load carries what the admin would put there, with a token of this minute.
  const load = async (target) => {
    const url = new URL(target, location.href);
    if (url.origin !== location.origin) {
      tell("top", { href: url.href });
      return;
    }
    const token = await idToken();
    const kept = await ask("launch");
    for (const [key, value] of Object.entries(kept)) url.searchParams.set(key, value);
    url.searchParams.set("id_token", token);
    location.replace(url.href);
  };

  const follow = (href) => {
    const url = new URL(href, location.href);
    const links = document.querySelectorAll("s-app-nav s-link, s-app-nav a, ui-nav-menu a");
    const link = [...links].find((item) => new URL(item.getAttribute("href"), location.href).href === url.href);
    const event = new CustomEvent("shopify:navigate", { bubbles: true, cancelable: true });
    if (link && !link.dispatchEvent(event)) return;
    if (link && !link.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }))) return;
    load(url.href);
  };

  const publish = () => {
    const nav = document.querySelector("s-app-nav, ui-nav-menu");
    const links = nav
      ? [...nav.querySelectorAll("s-link, a")].map((item) => ({
          href: new URL(item.getAttribute("href"), location.href).href,
          label: item.textContent.trim(),
          home: item.getAttribute("rel") === "home",
        }))
      : [];
    tell("nav", { links });
    tell("location", { href: location.href });
  };

  class AppNav extends HTMLElement {
    connectedCallback() {
      this.style.display = "none";
      new MutationObserver(publish).observe(this, { childList: true, subtree: true, characterData: true });
      queueMicrotask(publish);
    }
  }
  customElements.define("s-app-nav", AppNav);

  for (const name of ["pushState", "replaceState"]) {
    const plain = history[name].bind(history);
    history[name] = (...given) => {
      plain(...given);
      tell("location", { href: location.href });
    };
  }
  window.addEventListener("popstate", () => tell("location", { href: location.href }));
  document.addEventListener("DOMContentLoaded", publish);
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element && event.target.closest("a[target='_top'], a[target='_parent']");
    if (!link || event.defaultPrevented) return;
    event.preventDefault();
    tell("top", { href: link.href });
  });

  const scopes = (action, list = []) => ask("scopes", { action, scopes: [...list] });
  window.shopify = {
    config: { apiKey, shop: launch.get("shop") || undefined, host: launch.get("host") || undefined, locale: launch.get("locale") || "en" },
    environment: { embedded: window.top !== window.self, mobile: false, intent: false, pos: false },
    ready: Promise.resolve(),
    idToken,
    toast: { show: (message) => (tell("toast", { message: String(message) }), String(++counter)), hide: () => tell("toast", { message: "" }) },
    loading: (on) => tell("loading", { on: Boolean(on) }),
    saveBar: { show: async () => {}, hide: async () => {}, leaveConfirmation: async () => {} },
    scopes: {
      query: () => scopes("query"),
      request: (list) => scopes("request", list),
      revoke: async (list) => ({ detail: await scopes("revoke", list) }),
    },
    app: { extensions: () => ask("extensions") },
  };

  // The "patch" page: loaded without a fresh token, it asks for one and goes where the server wanted to go.
  const reload = launch.get("shopify-reload");
  if (reload) {
    const target = new URL(reload, location.href);
    if (target.origin === location.origin) load(target.href);
  }
})();
