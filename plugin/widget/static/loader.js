// Ahlan's launcher; nothing is loaded before it is touched.
// data-*: server store identity locale side accent theme label bottom hide visits
(() => {
  const script = document.currentScript || document.querySelector("script[data-store]");
  if (!script || window.Ahlan) return;
  const set = script.dataset;
  const { origin } = new URL(set.server);
  const doc = document.documentElement;
  const locale = set.locale || doc.lang || "en";
  const [chat, shut, waiting, again] = {
    ar: ["تواصلوا معنا", "إغلاق", "غير مقروء", "تعذّر الاتصال. إعادة المحاولة"],
    he: ["דברו איתנו", "סגירה", "לא נקראו", "אין חיבור. ניסיון נוסף"],
  }[locale.slice(0, 2)] || ["Chat with us", "Close", "Unread", "No connection. Try again"];
  const label = set.label || chat;
  const phone = matchMedia("(max-width:479px),(max-height:479px)");

  // What the shop's banner allows; undefined: nobody is asked.
  const may = (what, wordpress = what) => {
    try {
      return window.Shopify ? Shopify.customerPrivacy[what + "ProcessingAllowed"]() : wp_has_consent(wordpress);
    } catch {}
  };

  // A frame's own storage is partitioned and purged. Refused: until the tab is closed.
  const prefix = `ahlan:${set.store}:`;
  const keep = (key, value) => {
    try {
      localStorage.removeItem(prefix + key);
      const storage = may("preferences") === false ? sessionStorage : localStorage;
      value ? storage.setItem(prefix + key, value) : storage.removeItem(prefix + key);
    } catch {}
  };
  const kept = () => {
    const all = {};
    try {
      const held = { ...sessionStorage, ...localStorage };
      for (const key in held) if (key.startsWith(prefix)) all[key.slice(prefix.length)] = held[key];
    } catch {}
    return all;
  };

  const make = (tag, attributes, ...children) => {
    const node = /svg|path/.test(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const name in attributes) node.setAttribute(name, attributes[name]);
    node.append(...children);
    return node;
  };

  const accent = /^#[\da-f]{6}$/i.test(set.accent) ? set.accent : "#0b7a75";
  const [r, g, b] = accent.match(/\w\w/g).map((hex) => parseInt(hex, 16) ** 2);
  const ink = 21 * r + 72 * g + 7 * b > 2e6 ? "#111" : "#fff";
  const side = `inset-inline-${set.side === "start" ? "start" : "end"}:max(16px,env(safe-area-inset-left),env(safe-area-inset-right))`;
  const floor = `max(16px,env(safe-area-inset-bottom)) + ${parseInt(set.bottom) || 0}px + var(--lift,0px)`;
  const css = `:host{all:initial!important;color-scheme:${set.theme === "light" ? "light" : "light dark"};font:16px/1.5 system-ui,sans-serif!important}
[hidden]{display:none}
button{font:inherit;cursor:pointer;border:1px solid transparent;color:${ink};background:${accent}}
button:focus-visible{outline:3px solid ${accent};outline-offset:3px}
.l,.p,.t{position:fixed;z-index:90;${side};bottom:calc(${floor} + 72px);border-radius:12px;background:Canvas;box-shadow:0 4px 16px #0003}
.l{bottom:calc(${floor});width:56px;height:56px;padding:14px;border-radius:50%;background:${accent}}
.p{z-index:2147483000;width:min(400px,100vw - 32px);height:min(660px,100vh - 104px - var(--lift,0px));overflow:hidden;background:linear-gradient(${accent}33,#0000 40%) Canvas;box-shadow:0 8px 40px #0004}
.p[hidden]{display:block;visibility:hidden}
.f{inset:var(--t,0) 0 auto;width:auto;height:var(--h,100%);border-radius:0}
.f~.l{z-index:2147483000}
.t:not([hidden]){display:flex;max-width:min(300px,100vw - 32px)}
.t button{color:CanvasText;background:none;padding:12px;text-align:start;overflow-wrap:anywhere}
iframe,.n{border:0;width:100%;height:100%}
.p:not(.r) iframe{opacity:0}
.b{position:absolute;top:-4px;inset-inline-end:-4px;min-width:20px;padding:0 5px;box-sizing:border-box;border-radius:10px;font-size:12px;line-height:20px;color:#fff;background:#c5221f}
svg{fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
@media(prefers-reduced-motion:no-preference){.p:not([hidden]){animation:a .16s ease-out}}
@keyframes a{from{opacity:0;transform:translateY(8px)}}
@media print{:host{display:none!important}}`;

  const host = make("ahlan-widget", { dir: /^(ar|he|fa|ur)/.test(locale) ? "rtl" : "ltr", lang: locale });
  const root = host.attachShadow({ mode: "closed" });
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [sheet];
  } catch {
    root.append(make("style", {}, css));
  }
  const drawing = make("path");
  const badge = make("span", { class: "b" });
  const words = make("button");
  const hush = make("button", { "aria-label": shut }, "×");
  const teaser = make("div", { class: "t", role: "status" }, words, hush);
  const launcher = make("button", { class: "l", "aria-haspopup": "dialog" }, make("svg", { viewBox: "0 0 24 24" }, drawing), badge);
  const panel = make("div", { role: "dialog", "aria-label": label });
  root.append(panel, teaser, launcher);

  let [frame, ready, timer, due, before, address, told, text, who] = [];
  let shown = false;
  let locked = false;
  let unread = +kept().unread || 0;

  const tell = (message) => ready && frame.contentWindow.postMessage(message, origin);
  const page = () => {
    const consent = { analytics: may("analytics", "statistics"), preferences: may("preferences") };
    if (consent.analytics === false) return { consent };
    return {
      consent,
      url: (location.origin + location.pathname).slice(0, 400),
      title: document.title.slice(0, 90),
      referrer: document.referrer.split("/")[2],
      zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      cart: /\bcart=([\w-]+)/.exec(document.cookie)?.[1],
    };
  };

  const ask = async () => {
    try {
      const url = new URL(set.identity, location.href);
      if (!set.identity || url.origin !== location.origin) return;
      const answer = await fetch(url, { signal: AbortSignal.timeout(2e4) });
      return answer.status === 204 ? null : (await answer.json()).token;
    } catch {}
  };

  const hidden = () => {
    try {
      return document.querySelector(set.hide);
    } catch {}
  };

  const draw = () => {
    const full = shown && phone.matches;
    panel.hidden = !shown;
    panel.className = `p ${ready ? "r" : ""} ${full ? "f" : ""}`;
    panel.ariaModal = full;
    launcher.hidden = shown ? full && ready : hidden();
    launcher.ariaExpanded = shown;
    launcher.ariaLabel = shown ? shut : label + (unread ? `, ${waiting}: ${unread}` : "");
    drawing.setAttribute("d", shown ? "M6 9l6 6 6-6" : "M12 4c5 0 9 3 9 7s-4 7-9 7l-3-.4L4 20l1.6-3.7C4 15 3 13 3 11c0-4 4-7 9-7z");
    teaser.hidden = shown || !text;
    badge.hidden = shown || !unread;
    badge.textContent = unread;
    if (full !== locked) {
      locked = full;
      if (full) before = [doc.style.overflow, document.body.inert];
      doc.style.overflow = full ? "hidden" : before[0];
      document.body.inert = full || before[1];
    }
    tell({ type: "ahlan:visible", open: shown, full });
  };

  const count = (value) => {
    unread = +value;
    draw();
  };

  const fail = () => {
    frame = ready = false;
    const node = make("button", { class: "n" }, again);
    node.onclick = load;
    panel.replaceChildren(node);
    draw();
    if (shown) node.focus();
  };

  // A word per page view of whom the shop may follow; its answer may wait for an agent's.
  const visit = async () => {
    const allowed = may("analytics", "statistics") ?? set.visits === "all";
    if (!set.visits || !allowed || document.hidden || told === address) return;
    told = address;
    try {
      const { secret, hush } = kept();
      const body = JSON.stringify({ store: set.store, secret, hush, ...page() });
      const answer = await fetch(`${origin}/widget/visit`, { method: "POST", body, priority: "low" });
      keep("secret", answer.headers.get("ahlan-secret") || secret);
      ({ text, unread } = await answer.json());
      words.textContent = text;
      keep("unread", unread);
      draw();
    } catch {}
  };

  const load = () => {
    who = ask();
    const mine = (frame = make("iframe", { title: label, src: `${origin}/widget/frame?store=${set.store}&locale=${locale}` }));
    mine.onload = () => {
      mine.contentWindow.postMessage({ type: "ahlan:hello", page: page(), kept: kept(), accent, theme: set.theme, open: shown, full: locked }, origin);
      clearTimeout(timer);
      timer = setTimeout(fail, 4e3);
    };
    panel.replaceChildren(mine);
    timer = setTimeout(fail, 12e3);
  };

  const show = (want) => {
    if (want === shown || window.Shopify?.designMode) return;
    shown = want;
    text = "";
    if (!frame) load();
    draw();
    if (!shown) launcher.focus();
    else if (ready) frame.focus();
  };

  const settle = () => {
    // Above what the shop pins.
    let lift = 0;
    const { left } = launcher.getBoundingClientRect();
    for (const node of document.elementsFromPoint(left + 28, innerHeight - 16)) {
      const { top, height } = node.getBoundingClientRect();
      if (/fix|sti/.test(getComputedStyle(node).position) && height < innerHeight * .4) lift = Math.max(lift, innerHeight - top);
    }
    host.style.setProperty("--lift", lift + "px");
    if (!host.isConnected) doc.append(host);
    if (address !== location.href) {
      address = location.href;
      tell({ type: "ahlan:page", page: page() });
    }
    draw();
    (window.requestIdleCallback || setTimeout)(visit);
  };
  const soon = () => {
    clearTimeout(due);
    due = setTimeout(settle, 200);
  };
  const fit = () => {
    panel.style.setProperty("--h", visualViewport.height + "px");
    panel.style.setProperty("--t", visualViewport.offsetTop + "px");
  };

  addEventListener("message", ({ source, origin: from, data }) => {
    if (!frame || source !== frame.contentWindow || from !== origin || !data) return;
    const { type, key, value } = data;
    if (type === "ahlan:ready") {
      clearTimeout(timer);
      ready = true;
      draw();
      if (shown) frame.focus();
    }
    if (type === "ahlan:close") show(false);
    if (type === "ahlan:keep" && /^(secret|unread|live|draft|flow|out:[\w-]+)$/.test(key)) {
      keep(key, value);
      if (key === "unread") count(value);
    }
    if (type === "ahlan:identity") {
      (who || ask()).then((identity) => tell({ type, identity }));
      who = 0;
    }
  });
  addEventListener("storage", ({ key, newValue }) => key === prefix + "unread" && count(newValue));
  for (const type of ["scroll", "resize", "click"]) {
    addEventListener(type, soon, true);
    visualViewport.addEventListener(type, fit);
  }
  window.navigation?.addEventListener("navigatesuccess", soon);
  for (const type of ["visitorConsentCollected", "wp_listen_for_consent_change"]) document.addEventListener(type, () => soon((address = 0)));
  phone.onchange = draw;
  launcher.onclick = () => show(!shown);
  words.onclick = () => show(true);
  hush.onclick = () => {
    text = "";
    keep("hush", 1);
    draw();
  };
  host.onkeydown = ({ key }) => {
    if (key === "Escape") show(false);
  };

  window.Ahlan = { open: () => show(true), close: () => show(false) };
  doc.append(host);
  draw();
  for (const wait of [300, 2e3, 5e3]) setTimeout(settle, wait);

  // A message to deliver, or a recent conversation.
  if (Date.now() - kept().live < 18e5 || /\bout:/.test(Object.keys(kept()))) setTimeout(() => frame || load(), 1500);
})();
