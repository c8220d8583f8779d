// A help page inside a shop's theme: what belongs into the head, the shopper's own words, and the theme's language.
(() => {
  const root = document.querySelector("[data-help]");
  const told = document.getElementById("hc-head");
  if (!root || !told) return;
  const head = JSON.parse(told.textContent);

  const add = (tag, attributes) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    document.head.append(made);
  };
  const meta = (name, content) => {
    const there = document.head.querySelector(`meta[name="${name}"]`);
    if (there) there.setAttribute("content", content);
    else add("meta", { name, content });
  };
  if (head.title) document.title = head.title;
  if (head.description) meta("description", head.description);
  if (head.canonical) {
    if (!document.head.querySelector("link[rel=canonical]")) add("link", { rel: "canonical", href: head.canonical });
    // Those of the theme name this address in the theme's languages; ours are other addresses.
    for (const [hreflang, href] of head.alternates) add("link", { rel: "alternate", hreflang, href });
  } else meta("robots", "noindex");

  // No word of a request stands in the page; what was searched for is known here.
  const asked = new URLSearchParams(location.search).get("q") || "";
  const field = root.querySelector("#hc-q");
  if (field && asked && !field.value) field.value = asked.slice(0, 200);

  // Shopify keeps the theme's language at the beginning of an address (/ar/apps/…): whoever reads there stays there.
  const { base } = root.dataset;
  const before = location.pathname.slice(0, Math.max(location.pathname.indexOf(base), 0));
  if (/^\/[a-z]{2}(-[a-z]{2})?$/i.test(before)) {
    // Without a language of ours behind it such an address was answered in the browser's: the shop's one goes first.
    const spoken = before.slice(1, 3).toLowerCase();
    const here = location.pathname.replace(/\/$/, "");
    if (here === before + base && spoken !== root.dataset.language && head.alternates.some(([code]) => code === spoken)) {
      location.replace(`${here}/${spoken}${location.search}`);
      return;
    }
    root.dataset.base = before + base;
    for (const link of root.querySelectorAll("a[href]")) {
      const to = link.getAttribute("href");
      if (to.startsWith(`${base}/`)) link.setAttribute("href", before + to);
    }
    const form = root.querySelector(".hc-search");
    form.setAttribute("action", before + form.getAttribute("action"));
  }
})();
