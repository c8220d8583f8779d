// A stand-in for what Shopify's account pages give an extension: the `shopify` global and the s- components that ours
// uses. Shopify runs it in a worker and draws natively; here each target has a document, and components draw themselves.
(() => {
  const told = JSON.parse(document.getElementById("told").textContent);
  const signal = (value) => ({ value, subscribe: () => () => {} });
  const tell = (message) => parent.postMessage(message, location.origin);
  const locale = told.locale;

  const translate = (key, values = {}) => {
    const found = key.split(".").reduce((words, part) => words?.[part], told.words);
    if (typeof found !== "string") throw new Error(`no words for ${key}`);
    return found.replace(/\{\{(\w+)\}\}/g, (_, name) => {
      if (!(name in values)) throw new Error(`${key} needs ${name}`);
      return values[name];
    });
  };

  globalThis.shopify = {
    extend: (target, run) => target === told.target && run(),
    extension: { target: told.target },
    orderId: told.order.id,
    order: signal(told.order),
    authenticationState: signal(told.account),
    requireLogin: async () => tell({ login: true }),
    sessionToken: { get: async () => (await (await fetch("/account/session-token")).json()).token },
    localization: { language: signal({ isoCode: locale }), extensionLanguage: signal({ isoCode: locale }) },
    i18n: {
      translate,
      formatCurrency: (number, options) => new Intl.NumberFormat(locale, { style: "currency", ...options }).format(number),
      formatNumber: (number, options) => new Intl.NumberFormat(locale, options).format(number),
      formatDate: (moment, options) => new Intl.DateTimeFormat(locale, options).format(moment),
    },
    setSignals: () => {},
    close: () => tell({ close: true }),
  };

  const base = `:host { display: block } * { box-sizing: border-box; font: inherit } [hidden] { display: none }`;

  /** A component: `props` come as properties and as attributes, `draw` says what is in its shadow. */
  function component(name, props, css, draw, made = () => {}) {
    class Component extends HTMLElement {
      #held = {};
      constructor() {
        super();
        this.root = this.attachShadow({ mode: "open" });
        for (const prop of props)
          Object.defineProperty(this, prop, {
            get: () => this.#held[prop],
            set: (value) => {
              if (this.#held[prop] === value) return;
              this.#held[prop] = value;
              if (typeof value === "string") this.setAttribute(prop.toLowerCase(), value);
              if (this.isConnected) this.draw();
            },
          });
        made(this);
      }
      static observedAttributes = props.map((prop) => prop.toLowerCase());
      attributeChangedCallback(attribute, _, value) {
        const prop = props.find((one) => one.toLowerCase() === attribute);
        this[prop] = value ?? undefined;
      }
      connectedCallback() {
        this.draw();
      }
      draw() {
        this.root.innerHTML = `<style>${base}${css}</style>`;
        this.root.append(...[draw(this)].flat());
      }
    }
    customElements.define(name, Component);
  }

  const node = (tag, props = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), props);
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  };
  const slot = (name = "") => node("slot", { name });
  const changed = (host, part) => {
    Object.assign(host, part);
    host.dispatchEvent(new Event("change", { bubbles: true }));
  };
  /** Children that a component reads itself, and draws anew for when they change. */
  const reading = (host) => new MutationObserver(() => host.isConnected && host.draw()).observe(host, { childList: true, subtree: true, characterData: true, attributes: true });

  component("s-button", ["variant", "loading", "disabled", "href", "target", "tone"], "button, a { display: inline-flex; align-items: center; text-decoration: none; font-size: inherit } button, a { cursor: pointer; min-block-size: 44px; padding: 8px 18px; border-radius: 8px; border: 1px solid #8a8a8a; background: #fff; color: #1c1c1c } .primary { background: #1c1c1c; color: #fff } .critical { color: #a1160a; border-color: currentColor } button[aria-busy] { opacity: .6 }", (host) => {
    if (host.href) return node("a", { href: host.href, target: host.target ?? "", rel: "noopener", className: host.variant ?? "" }, slot());
    const button = node("button", { type: "button", className: `${host.variant ?? ""} ${host.tone ?? ""}`, disabled: Boolean(host.disabled) }, slot());
    if (host.loading) button.setAttribute("aria-busy", "true");
    button.addEventListener("click", (event) => {
      if (host.loading) event.stopPropagation();
      else if (told.target.endsWith("menu-item.render")) tell({ open: true });
    });
    return button;
  });
  component("s-customer-account-action", ["heading"], ":host { display: flex; flex-direction: column; block-size: 100vh } header, footer { display: flex; gap: 12px; align-items: center; padding: 14px 20px } header { border-block-end: 1px solid #ddd } footer { border-block-start: 1px solid #ddd; justify-content: end } h2 { margin: 0; font-size: 18px; font-weight: 600; flex: 1 } main { flex: 1; overflow: auto; padding: 20px }", (host) => [
    node("header", {}, node("h2", { textContent: host.heading ?? "" }), node("button", { textContent: "×", ariaLabel: "Close", onclick: () => tell({ close: true }) })),
    node("main", {}, slot()),
    node("footer", {}, slot("secondary-actions"), slot("primary-action")),
  ]);
  component("s-stack", ["direction", "gap", "justifyContent", "alignItems"], ":host { display: flex; flex-direction: column; gap: 12px; min-inline-size: 0; flex: 1 1 auto } :host([direction=inline]) { flex-direction: row; flex-wrap: wrap } :host([justifycontent=space-between]) { justify-content: space-between } :host([gap^=small]) { gap: 6px }", slot.bind(null, ""));
  component("s-section", ["heading"], ":host { border: 1px solid #ddd; border-radius: 12px; padding: 20px } h2 { margin: 0 0 12px; font-size: 17px; font-weight: 600 }", (host) => [node("h2", { textContent: host.heading ?? "" }), slot()]);
  component("s-text", ["type", "color"], ":host { display: inline } :host([type=strong]) { font-weight: 600 } :host([color=subdued]) { color: #616161 }", () => slot());
  component("s-heading", [], ":host { font-size: 17px; font-weight: 600 }", () => slot());
  component("s-divider", [], ":host { border-block-start: 1px solid #ddd }", () => []);
  component("s-link", ["href", "target"], "", (host) => node("a", { href: host.href ?? "", target: host.target ?? "" }, slot()));
  component("s-skeleton-paragraph", ["content"], "div { block-size: 14px; border-radius: 7px; background: #e3e3e3; margin-block: 8px } div:last-child { inline-size: 60% }", () => [node("div"), node("div"), node("div")]);
  component("s-product-thumbnail", ["src", "alt"], ":host { inline-size: 64px; flex: none } img { inline-size: 64px; block-size: 64px; object-fit: cover; border-radius: 8px; border: 1px solid #ddd }", (host) => node("img", { src: host.src ?? "", alt: host.alt ?? "" }));
  component("s-banner", ["tone", "heading"], ":host { padding: 12px 16px; border-radius: 8px; background: #eaf4ff } :host([tone=critical]) { background: #fee9e8 } :host([tone=success]) { background: #e5f6ea } :host([tone=warning]) { background: #fff3d6 } strong { display: block; font-weight: 600 }", (host) => {
    const box = node("div", {}, host.heading ? node("strong", { textContent: host.heading }) : null, slot());
    box.setAttribute("role", host.tone === "critical" ? "alert" : "status");
    return box;
  });

  const fields = "label { display: grid; gap: 4px } span { font-size: 14px } input, select, textarea { min-block-size: 44px; padding: 8px 12px; border: 1px solid #8a8a8a; border-radius: 8px; background: #fff; color: inherit; inline-size: 100% } input[type=number] { max-inline-size: 110px }";
  component("s-number-field", ["label", "value", "min", "max", "step", "controls"], fields, (host) => {
    const input = node("input", { type: "number", min: host.min ?? "", max: host.max ?? "", step: host.step ?? "", value: host.value ?? "" });
    input.addEventListener("change", () => changed(host, { value: input.value }));
    return node("label", {}, node("span", { textContent: host.label ?? "" }), input);
  });
  component("s-text-area", ["label", "value", "rows", "maxLength"], fields, (host) => {
    const input = node("textarea", { rows: Number(host.rows) || 2, value: host.value ?? "", dir: "auto" });
    input.addEventListener("change", () => changed(host, { value: input.value }));
    return node("label", {}, node("span", { textContent: host.label ?? "" }), input);
  });
  component("s-text-field", ["label", "value", "maxLength"], fields, (host) => {
    const input = node("input", { type: "text", value: host.value ?? "", maxLength: Number(host.maxLength) || 200, dir: "auto" });
    input.addEventListener("change", () => changed(host, { value: input.value }));
    return node("label", {}, node("span", { textContent: host.label ?? "" }), input);
  });
  component("s-checkbox", ["label", "checked"], "label { display: flex; gap: 10px; align-items: center } input { inline-size: 20px; block-size: 20px }", (host) => {
    const input = node("input", { type: "checkbox", checked: Boolean(host.checked) });
    input.addEventListener("change", () => changed(host, { checked: input.checked }));
    return node("label", {}, input, node("span", { textContent: host.label ?? "" }));
  });
  component("s-drop-zone", ["label", "accept", "multiple"], `${fields} input[type=file] { border-style: dashed }`, (host) => {
    const input = node("input", { type: "file", accept: host.accept ?? "", multiple: Boolean(host.multiple) });
    input.addEventListener("change", () => {
      host.files = [...input.files];
      host.dispatchEvent(new Event("input", { bubbles: true }));
    });
    return node("label", {}, node("span", { textContent: host.label ?? "" }), input);
  });
  component("s-option", ["value"], ":host { display: none }", () => []);
  component(
    "s-select",
    ["label", "value"],
    fields,
    (host) => {
      const input = node("select", {}, ...[...host.querySelectorAll("s-option")].map((one) => node("option", { value: one.value ?? "", textContent: one.textContent })));
      input.value = host.value ?? "";
      input.addEventListener("change", () => changed(host, { value: input.value }));
      return node("label", {}, node("span", { textContent: host.label ?? "" }), input);
    },
    reading,
  );
  component("s-choice", ["value", "selected"], ":host { display: none }", () => []);
  component(
    "s-choice-list",
    ["label", "name", "values"],
    "fieldset { border: 0; padding: 0; margin: 0; display: grid; gap: 8px } legend { font-weight: 600; padding: 0; margin-block-end: 8px } label { display: flex; gap: 10px; padding: 10px 14px; border: 1px solid #8a8a8a; border-radius: 8px } input { inline-size: 20px; block-size: 20px; flex: none } small { display: block; color: #616161; font-size: 13px }",
    (host) =>
      node(
        "fieldset",
        {},
        node("legend", { textContent: host.label ?? "" }),
        ...[...host.querySelectorAll("s-choice")].map((one) => {
          const input = node("input", { type: "radio", name: host.name ?? "choice", value: one.value, checked: (host.values ?? []).includes(one.value) });
          input.addEventListener("change", () => changed(host, { values: [one.value] }));
          const words = [...one.childNodes].filter((part) => part.slot !== "details").map((part) => part.textContent);
          const more = [...one.querySelectorAll("[slot=details]")].map((part) => node("small", { textContent: part.textContent }));
          return node("label", {}, input, node("span", {}, words.join(""), ...more));
        }),
      ),
    reading,
  );

  addEventListener("DOMContentLoaded", () => {
    document.body.style.cssText = "margin: 0; font: 15px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #fff";
    new ResizeObserver(() => tell({ height: document.body.scrollHeight })).observe(document.body);
  });
})();
