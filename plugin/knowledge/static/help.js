// The help centre's few movements: answers while typing, the vote without a new page, the chat. Works without it too.
(() => {
  const root = document.querySelector("[data-help]");
  if (!root) return;
  const { help, language } = root.dataset;

  // The shop's colour, made readable on white and on black: as much lighter or darker as it takes.
  // Where a theme stands around it, the chat's own tag says the colour that the merchant chose there.
  const chosen = document.body.dataset.accent || document.querySelector("script[data-store][data-accent]")?.dataset.accent || root.dataset.accent;
  const given = /^#([\da-f]{2})([\da-f]{2})([\da-f]{2})$/i.exec(chosen || "");
  if (given) {
    const rgb = given.slice(1).map((two) => parseInt(two, 16));
    const light = (c) => c.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const contrast = (c, other) => (Math.max(light(c), other) + 0.05) / (Math.min(light(c), other) + 0.05);
    const until = (c, to, other) => {
      let made = c;
      for (let step = 1; contrast(made, other) < 4.6 && step <= 20; step++) made = c.map((v) => v + ((to - v) * step) / 20);
      return `rgb(${made.map(Math.round).join(" ")})`;
    };
    const style = document.documentElement.style;
    style.setProperty("--hc-given", until(rgb, 0, 1));
    style.setProperty("--hc-given-dark", until(rgb, 255, 0.0095));
    style.setProperty("--hc-fill", until(rgb, 0, 1));
    // Inside a theme its ground counts, not what the reader's system prefers.
    const grounds = [];
    for (let one = root; one; one = one.parentElement) grounds.push(/^rgba?\(([^)]+)\)/.exec(getComputedStyle(one).backgroundColor)?.[1].match(/[\d.]+/g) || [0, 0, 0, 0]);
    const ground = grounds.find(([, , , alpha = "1"]) => Number(alpha) > 0.5);
    if (!document.body.dataset.accent && ground && light(ground.slice(0, 3).map(Number)) < 0.2)
      root.style.setProperty("--hc-accent", until(rgb, 255, light(ground.slice(0, 3).map(Number))));
  }

  const field = root.querySelector("#hc-q");
  const list = root.querySelector("#hc-found");
  let asking = null;
  let timer = 0;
  let active = -1;

  const piece = (tag, text) => {
    const made = document.createElement(tag);
    made.textContent = text;
    return made;
  };
  const marked = (pieces) => pieces.map(([text, found]) => (found ? piece("mark", text) : document.createTextNode(text)));
  const close = () => {
    list.hidden = true;
    active = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  };

  async function look(settled) {
    asking?.abort();
    const text = field.value.trim();
    if (text.length < 2) return close();
    asking = new AbortController();
    let found;
    try {
      const answer = await fetch(`${help}/search.json?language=${language}&q=${encodeURIComponent(text)}${settled ? "&settled=1" : ""}`, { signal: asking.signal, credentials: "omit" });
      if (!answer.ok) return;
      ({ found } = await answer.json());
    } catch {
      return; // typed on meanwhile, or no connection: the form still works
    }
    if (document.activeElement !== field) return;
    list.replaceChildren(
      ...found.map((one, at) => {
        const item = document.createElement("li");
        item.id = `hc-found-${at}`;
        item.setAttribute("role", "option");
        const link = document.createElement("a");
        link.href = `${root.dataset.base}/${one.language}/${encodeURIComponent(one.slug)}`;
        link.dir = "auto";
        link.tabIndex = -1;
        link.append(...marked(one.title));
        if (one.where) link.append(piece("small", one.where));
        item.append(link);
        return item;
      }),
    );
    if (!found.length) {
      const none = piece("li", list.dataset.none);
      none.className = "is-none";
      list.append(none);
    }
    active = -1;
    list.hidden = false;
    field.setAttribute("aria-expanded", "true");
  }

  field.addEventListener("input", () => {
    clearTimeout(timer);
    look(false);
    timer = setTimeout(() => look(true), 1500);
  });
  field.addEventListener("keydown", (event) => {
    const all = [...list.querySelectorAll("[role=option]")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") return close();
    if (list.hidden || !all.length) return;
    if (event.key === "Enter" && active >= 0) {
      event.preventDefault();
      return all[active].firstElementChild.click();
    }
    if (!step) return;
    event.preventDefault();
    active = (active + step + all.length) % all.length;
    all.forEach((one, at) => one.setAttribute("aria-selected", String(at === active)));
    field.setAttribute("aria-activedescendant", all[active].id);
  });
  document.addEventListener("pointerdown", (event) => event.target.closest(".hc-search") || close());

  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("[data-vote], [data-why]");
    if (!form) return;
    event.preventDefault();
    const data = new URLSearchParams(new FormData(form, event.submitter));
    data.set("json", "1");
    try {
      const answer = await fetch(form.action, { method: "POST", body: data, credentials: "omit" });
      const { html } = await answer.json();
      const made = new DOMParser().parseFromString(html, "text/html").querySelector("#hc-vote");
      root.querySelector("#hc-vote").replaceWith(document.adoptNode(made));
    } catch {
      form.submit();
    }
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-chat]") && window.Ahlan) {
      event.preventDefault();
      window.Ahlan.open();
    }
  });
})();
