// The merchant's colour, made readable: WCAG AA whatever was chosen.

export const parse = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const format = (rgb) => `#${rgb.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
const mix = (from, to, share) => from.map((part, i) => part + (to[i] - part) * share);

const WHITE = [255, 255, 255];
const BLACK = [0, 0, 0];
const INK = parse("#14181b");

function luminance(rgb) {
  const [r, g, b] = rgb.map((part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** WCAG contrast ratio of two colours, 1 to 21. */
export function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** Move `rgb` towards `goal` just far enough to be readable (4.5) on every one of `grounds`. */
function until(rgb, goal, ...grounds) {
  for (let share = 0; share < 1; share += 0.02) {
    const candidate = mix(rgb, goal, share).map(Math.round);
    if (grounds.every((ground) => contrast(candidate, ground) >= 4.5)) return candidate;
  }
  return goal;
}

/**
 * What to paint with, from the merchant's `hex`:
 * `fill` and `ink` for buttons and own bubbles, `tint` for quiet grounds, `text` for accent-coloured words and icons
 * on it or on `surface`. A colour that nearly carries white is darkened; a light one gets dark ink.
 */
export function palette(hex, surface, dark) {
  const accent = parse(hex);
  const ground = parse(surface);
  const tint = mix(ground, accent, dark ? 0.16 : 0.08).map(Math.round);
  const white = contrast(accent, WHITE) >= 3;
  const fill = white ? until(accent, BLACK, WHITE) : until(accent, WHITE, INK);
  return {
    fill: format(fill),
    ink: format(white ? WHITE : INK),
    text: format(until(accent, dark ? WHITE : BLACK, tint, ground)),
    tint: format(tint),
  };
}

/** Put the palette on the document, and again whenever the reader's scheme changes. */
export function dress(hex, theme) {
  const root = document.documentElement;
  if (theme === "light") root.dataset.theme = "light";
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    const dark = scheme.matches && theme !== "light";
    const surface = getComputedStyle(root).getPropertyValue("--surface").trim();
    for (const [name, value] of Object.entries(palette(hex, surface, dark))) root.style.setProperty(`--accent-${name}`, value);
  };
  scheme.addEventListener("change", paint);
  paint();
}
