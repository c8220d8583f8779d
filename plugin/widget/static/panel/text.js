// What a person typed, as nodes: links found, left-to-right runs isolated. Never through innerHTML.
import { el } from "./dom.js";

// Links; phone numbers that start with +; order, parcel and voucher codes. The last two fall apart inside
// right-to-left text when they are not isolated.
const RUN = /(https?:\/\/[^\s<>"'«»]+)|(\+\d[\d\s-]{5,}\d)|(#?[A-Z\d]+(?:-[A-Z\d]+)+|#\d+)/g;

/** Where the address really ends: the full stop of the sentence and an unopened bracket are not part of it. */
function trimmed(address) {
  let text = address.replace(/[.,;:!?؟،؛…]+$/, "");
  if (text.endsWith(")") && !text.includes("(")) text = text.slice(0, -1);
  return text;
}

/** The text as a list of strings and nodes; `links` false where it stands inside something that is pressed. */
export function typed(text, links = true) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(RUN)) {
    const run = match[1] ? trimmed(match[0]) : match[0];
    nodes.push(text.slice(from, match.index));
    nodes.push(
      match[1] && links
        ? el("a", { href: run, target: "_blank", rel: "noopener noreferrer nofollow", dir: "ltr" }, run)
        : el("bdi", { dir: "ltr" }, run),
    );
    from = match.index + run.length;
  }
  nodes.push(text.slice(from));
  return nodes.filter((node) => node !== "");
}
