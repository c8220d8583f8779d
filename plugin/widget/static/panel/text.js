// What a person typed, as nodes: links found, left-to-right runs isolated. Never through innerHTML.
import { el } from "./dom.js";

// Links; phone numbers that start with +; order, parcel and voucher codes. The last two fall apart inside
// right-to-left text when they are not isolated. The panel's look.py reads them alike. A code begins where its word
// begins: looked for at each of its letters, a long word of capitals would keep the page busy for its square.
const RUN = /(https?:\/\/[^\s<>"'«»]+)|(\+\d[\d\s-]{5,}\d)|((?:#|\b)[A-Z\d]+(?:-[A-Z\d]+)+|#\d+)/g;
const SENTENCE_ENDS = ".,;:!?؟،؛…";
const SHORT = 24; // a number is read in one piece; what is longer must be able to break

/** Where the address really ends: the full stop of the sentence and an unopened bracket are not part of it. */
function trimmed(address) {
  let end = address.length;
  while (SENTENCE_ENDS.includes(address[end - 1])) end -= 1;
  let text = address.slice(0, end);
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
        : el("bdi", { dir: "ltr", class: run.length <= SHORT && "whole" }, run),
    );
    from = match.index + run.length;
  }
  nodes.push(text.slice(from));
  return nodes.filter((node) => node !== "");
}
