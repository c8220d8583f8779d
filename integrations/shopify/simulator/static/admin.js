// The page around the app's frame: answers App Bridge, shows the app's navigation, follows its address.
(() => {
  "use strict";
  const staff = document.querySelector(".staff select");
  staff.addEventListener("change", () => staff.form.submit());
  const frame = document.getElementById("app-frame");
  if (!frame) return;
  const { origin, base, handle } = frame.dataset;
  const first = new URL(frame.src).searchParams;
  const launch = Object.fromEntries(["embedded", "host", "locale", "shop"].map((key) => [key, first.get(key)]));
  const menu = document.getElementById("app-nav");
  const toast = document.getElementById("toast");
  let here = frame.src;

  const read = async (path, options) => {
    const answer = await fetch(path, options);
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error || `admin: ${answer.status}`);
    return told;
  };
  const post = (path, body) =>
    read(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

  const answers = {
    "id-token": async () => (await read("/frame/id-token")).token,
    launch: async () => launch,
    extensions: () => read("/frame/extensions"),
    scopes: async ({ action, scopes }) => {
      if (action === "query") return detail(await read("/frame/scopes"));
      if (action === "revoke") return detail(await post("/frame/scopes", { action, scopes }));
      const { asking } = await post("/frame/scopes", { action: "request", scopes });
      if (asking.length && !(await consent(asking))) return { result: "declined-all", detail: detail(await read("/frame/scopes")) };
      return { result: "granted-all", detail: detail(await post("/frame/scopes", { action: "grant", scopes })) };
    },
  };

  const detail = ({ granted, required, optional }) => ({ granted, required, optional });

  // The permission dialog: closing it by any other way than Update is a no.
  const consent = (asking) =>
    new Promise((answer) => {
      const dialog = document.getElementById("consent");
      dialog.querySelector("ul").replaceChildren(
        ...asking.map((scope) => {
          const item = document.createElement("li");
          item.append(Object.assign(document.createElement("code"), { textContent: scope }));
          return item;
        }),
      );
      dialog.returnValue = "";
      dialog.addEventListener("close", () => answer(dialog.returnValue === "update"), { once: true });
      dialog.showModal();
    });

  const mark = () => {
    const path = new URL(here).pathname;
    let best = null;
    for (const button of menu.children) {
      button.removeAttribute("aria-current");
      const target = new URL(button.dataset.href).pathname;
      if (path.startsWith(target) && (!best || target.length > new URL(best.dataset.href).pathname.length)) best = button;
    }
    if (best) best.setAttribute("aria-current", "page");
  };

  const heard = {
    nav: ({ links }) => {
      menu.replaceChildren(
        ...links
          .filter((link) => !link.home)
          .map((link) => {
            const button = document.createElement("button");
            button.type = "button";
            button.textContent = link.label;
            button.dataset.href = link.href;
            button.addEventListener("click", () =>
              frame.contentWindow.postMessage({ bridge: "admin", type: "navigate", href: link.href }, origin),
            );
            return button;
          }),
      );
      mark();
    },
    location: ({ href }) => {
      here = href;
      const path = new URL(href).pathname;
      const root = new URL(base).pathname.replace(/\/$/, "");
      if (path === root || path.startsWith(`${root}/`)) history.replaceState(null, "", `/apps/${handle}${path.slice(root.length)}`);
      mark();
    },
    toast: ({ message }) => {
      toast.textContent = message;
      setTimeout(() => {
        if (toast.textContent === message) toast.textContent = "";
      }, 5000);
    },
    loading: ({ on }) => document.body.toggleAttribute("aria-busy", on),
    top: ({ href }) => {
      if (/^https?:/.test(href)) location.href = href;
    },
  };

  window.addEventListener("message", async (event) => {
    if (event.source !== frame.contentWindow || event.origin !== origin || !event.data || event.data.bridge !== "app") return;
    const { id, type } = event.data;
    if (heard[type]) {
      heard[type](event.data);
      return;
    }
    if (!answers[type]) return;
    try {
      const value = await answers[type](event.data);
      frame.contentWindow.postMessage({ bridge: "admin", id, value }, origin);
    } catch (error) {
      frame.contentWindow.postMessage({ bridge: "admin", id, error: String(error.message || error) }, origin);
    }
  });
})();
