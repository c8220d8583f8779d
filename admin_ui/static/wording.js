// The words of an article: kept in the browser until they are saved, and marks that are set with a button or a key.

const WORDS_KEPT = 30 * 24 * 3600 * 1000;
const wordsForm = () => document.querySelector("form[data-words-of]");
const wordsStored = (whose) => `ahlan:words:${whose}`;
const wordsKey = (form) => wordsStored(form.dataset.wordsOf);

// The browser may forbid it inside another page's frame: then nothing is kept, and nothing breaks.
function keptWords(key, words) {
  try {
    if (words === null) localStorage.removeItem(key);
    else if (words) localStorage.setItem(key, JSON.stringify(words));
    else {
      const found = JSON.parse(localStorage.getItem(key) || "null");
      return found && Date.now() - found.at < WORDS_KEPT ? found : null;
    }
  } catch {
    // no room, or no permission
  }
  return null;
}

// The keys of this beginning, the latest first; what is too old to be offered goes.
function wordsBegun(prefix) {
  try {
    const every = Object.keys(localStorage).filter((key) => key.startsWith(wordsStored("")));
    const found = every.map((key) => [key, keptWords(key)]);
    for (const [key, words] of found) if (!words) keptWords(key, null);
    return found.filter(([key, words]) => words && key.startsWith(wordsStored(prefix))).sort(([, one], [, other]) => other.at - one.at).map(([key]) => key);
  } catch {
    return [];
  }
}

const nowWritten = (form) => ({ title: form.elements.title.value, body: form.elements.body.value });
const sameWords = (one, other) => one.title === other.title && one.body.trim() === other.body.trim();

let keepingWords = 0;
let offeredWords = null; // what was not saved and its key, until it is taken up or thrown away: typing on does not lose it
document.addEventListener("input", (event) => {
  const form = event.target.closest?.("form[data-words-of]");
  if (!form || !["title", "body"].includes(event.target.name)) return;
  clearTimeout(keepingWords);
  keepingWords = setTimeout(() => keptWords(wordsKey(form), { ...nowWritten(form), at: Date.now() }), 400);
});

const waitNoMore = () => {
  clearTimeout(keepingWords);
  keepingWords = 0;
};

// Typed a moment ago and gone already: the last words are kept before the page is.
const keepWordsNow = () => {
  const form = wordsForm();
  if (!form || !keepingWords) return;
  waitNoMore();
  keptWords(wordsKey(form), { ...nowWritten(form), at: Date.now() });
};
window.addEventListener("pagehide", keepWordsNow);
document.addEventListener("htmx:before:request", keepWordsNow);

// Whoever signs out leaves nothing behind for the next one at this computer.
document.addEventListener("submit", (event) => {
  if (event.target.getAttribute("action") !== "/sign-out") return;
  waitNoMore();
  for (const key of wordsBegun(`${document.body.dataset.wordsWhose}:`)) keptWords(key, null);
});

function meetWords() {
  const form = wordsForm();
  if (!form || form.dataset.met) return;
  form.dataset.met = "1";
  const saved = new URLSearchParams(location.search).get("saved");
  const { wordsNew, wordsBegun: begun } = form.dataset;
  // What began as a new one has an address now; others that were begun and not saved wait on.
  if (begun && (saved === "save" || saved === "publish")) keptWords(wordsStored(begun), null);
  offeredWords = null;
  // Every new one has a key of its own: what was begun last is offered to the next.
  const key = keptWords(wordsKey(form)) || !wordsNew ? wordsKey(form) : wordsBegun(wordsNew)[0];
  const kept = key ? keptWords(key) : null;
  if (!kept) return;
  if (sameWords(kept, nowWritten(form))) return keptWords(key, null);
  // Words that came back because they could not be saved are already there.
  const unsaved = document.getElementById("unsaved");
  if (!unsaved || document.querySelector(".notice[role=alert]")) return;
  const at = unsaved.querySelector("time");
  at.dateTime = new Date(kept.at).toISOString();
  at.textContent = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" }).format(kept.at);
  offeredWords = { ...kept, key };
  unsaved.hidden = false;
}

document.addEventListener("click", (event) => {
  const chosen = event.target.closest("[data-unsaved]");
  const form = wordsForm();
  if (!chosen || !form) return;
  if (chosen.dataset.unsaved === "drop") {
    waitNoMore();
    for (const key of [wordsKey(form), form.dataset.wordsBegun && wordsStored(form.dataset.wordsBegun), offeredWords?.key]) if (key) keptWords(key, null);
  } else if (offeredWords) {
    form.elements.title.value = offeredWords.title;
    form.elements.body.value = offeredWords.body;
    form.elements.body.dispatchEvent(new Event("input", { bubbles: true }));
    form.elements.body.focus();
    keepWordsNow();
    if (offeredWords.key !== wordsKey(form)) keptWords(offeredWords.key, null);
  }
  const unsaved = document.getElementById("unsaved");
  if (unsaved) unsaved.hidden = true;
  offeredWords = null;
});

// --- marks ---------------------------------------------------------------------------------------------------------

// As if typed, so that the browser's own undo takes it back.
function typeInto(field, text, from, to) {
  field.focus();
  field.setSelectionRange(from, to);
  if (!document.execCommand("insertText", false, text)) {
    field.setRangeText(text, from, to, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

function aroundWords(field, sign) {
  const { selectionStart: from, selectionEnd: to, value } = field;
  const has = value.slice(from - sign.length, from) === sign && value.slice(to, to + sign.length) === sign;
  if (has) {
    typeInto(field, value.slice(from, to), from - sign.length, to + sign.length);
    field.setSelectionRange(from - sign.length, to - sign.length);
  } else {
    typeInto(field, sign + value.slice(from, to) + sign, from, to);
    field.setSelectionRange(from + sign.length, to + sign.length);
  }
}

function beforeLines(field, sign) {
  const { value } = field;
  const from = value.lastIndexOf("\n", field.selectionStart - 1) + 1;
  const end = value.indexOf("\n", field.selectionEnd);
  const lines = value.slice(from, end < 0 ? value.length : end).split("\n");
  const known = /^(#{1,4} |[-*] |\d+\. )/;
  const had = lines.every((line, at) => line.startsWith(sign(at)));
  const made = lines.map((line, at) => (had ? line.slice(sign(at).length) : sign(at) + line.replace(known, ""))).join("\n");
  typeInto(field, made, from, end < 0 ? value.length : end);
  if (lines.length > 1) field.setSelectionRange(from, from + made.length);
}

function linkWords(field, before) {
  const { selectionStart: from, selectionEnd: to, value } = field;
  const words = value.slice(from, to);
  typeInto(field, `${before}[${words}](https://)`, from, to);
  // Without words to stand for it these come first, else the address.
  const at = from + before.length + 1 + (words ? words.length + 2 : 0);
  field.setSelectionRange(at, words ? at + "https://".length : at);
}

const MARKS = {
  heading: (field) => beforeLines(field, () => "## "),
  bold: (field) => aroundWords(field, "**"),
  italic: (field) => aroundWords(field, "*"),
  list: (field) => beforeLines(field, () => "- "),
  steps: (field) => beforeLines(field, (at) => `${at + 1}. `),
  link: (field) => linkWords(field, ""),
  picture: (field) => linkWords(field, "!"),
};

document.addEventListener("click", (event) => {
  const mark = event.target.closest("[data-mark]")?.dataset.mark;
  const field = wordsForm()?.elements.body;
  if (mark && field && !field.disabled) MARKS[mark](field);
});

document.addEventListener("keydown", (event) => {
  const form = event.target.closest?.("form[data-words-of]");
  if (!form || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
  // By the key's place: on an Arabic or Hebrew keyboard it is another letter.
  const mark = { KeyB: "bold", KeyI: "italic", KeyK: "link" }[event.code];
  if (event.code === "KeyS") {
    event.preventDefault();
    form.requestSubmit(form.querySelector("button[name=then][value=save]"));
  } else if (mark && event.target.name === "body") {
    event.preventDefault();
    event.stopImmediatePropagation();
    MARKS[mark](event.target);
  }
});

// --- choosing what an article leads to -------------------------------------------------------------------------------

// Enter in the field that finds is no "save": it ticks the first that was found for what stands there.
document.addEventListener("keydown", (event) => {
  const field = event.target.closest?.(".chooser input[type=search]");
  if (!field || event.key !== "Enter" || event.isComposing) return;
  event.preventDefault();
  const found = field.closest(".chooser").querySelector(".choices");
  const wanted = field.value.trim();
  if (wanted && found.dataset.foundFor.trim() === wanted) found.querySelector("input:not(:checked)")?.click();
});

document.addEventListener("htmx:after:settle", meetWords);
meetWords();
