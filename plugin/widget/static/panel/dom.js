// Small hands for building pages. Text only ever enters as text nodes.

/**
 * Make an element. Props: `class`, `on` (event → handler), booleans as bare attributes, anything else an attribute.
 * Children: nodes, strings; null and false are left out.
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "on") for (const [type, handler] of Object.entries(value)) node.addEventListener(type, handler);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

/** A copy of an icon that the page was served with. */
export function icon(name) {
  const svg = document.getElementById(`icon-${name}`).content.firstElementChild.cloneNode(true);
  svg.setAttribute("aria-hidden", "true");
  return svg;
}

/** A square button that shows an icon and says its name. */
export function iconButton(name, label, onclick, props = {}) {
  const { class: extra = "", ...rest } = props;
  return el("button", { type: "button", class: `icon-button ${extra}`, "aria-label": label, title: label, on: { click: onclick }, ...rest }, icon(name));
}

/** Say something to screen readers without moving anything. */
export function announce(text) {
  document.getElementById("status").textContent = text;
}

/** The first letters of a name, for a round picture of nobody in particular. */
export function initials(name) {
  const words = name.trim().split(/\s+/);
  const picked = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  // Arabic letters would join into a false word: a zero-width non-joiner keeps them apart.
  return picked.map((word) => [...word][0] ?? "").join("\u200c").toLocaleUpperCase();
}

/** Keyboard focus stays inside the page while it covers the whole screen. */
export function trapFocus(event, root) {
  if (event.key !== "Tab") return;
  const stops = [...root.querySelectorAll("button, textarea, input, a[href], [tabindex='0']")].filter(
    (node) => !node.disabled && node.getClientRects().length > 0,
  );
  if (stops.length === 0) return;
  const edge = event.shiftKey ? stops[0] : stops[stops.length - 1];
  const active = document.activeElement;
  if (active !== edge && stops.includes(active)) return;
  if (!stops.includes(active) && active !== document.body && !event.shiftKey) return; // a heading: Tab goes on by itself
  event.preventDefault();
  (event.shiftKey ? stops[stops.length - 1] : stops[0]).focus();
}
