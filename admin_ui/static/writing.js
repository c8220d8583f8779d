// Around the reply box: macros by /, colleagues by @, what moved meanwhile, who else is here. A classic script like
// panel.js: one page, one set of names.

// --- what is typed before the cursor -------------------------------------------------------------------------------

const UNFILLED = /\{\{\s*([a-z_]+\.[^\s{}|]+)\s*(?:\|[^{}]*)?\}\}/g;
const token = (sign) => new RegExp(`(?:^|\\s)${sign}((?:[^\\s${sign}][^\\n${sign}]{0,39})?)$`);
const macroToken = token("/");
const mentionToken = token("@");

const wordsBox = () => $("#words");

function typeSign(sign) {
  const box = wordsBox();
  const before = box.value.slice(0, box.selectionStart);
  box.setRangeText(before && !/\s$/.test(before) ? ` ${sign}` : sign, box.selectionStart, box.selectionEnd, "end");
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

// What the cursor stands behind: the sign, what was typed after it, and where it begins.
function asked() {
  const box = wordsBox();
  if (!box || box.selectionStart !== box.selectionEnd) return null;
  const before = box.value.slice(0, box.selectionStart);
  const [kind, found] = mode() === "note" ? ["mention", before.match(mentionToken)] : ["macro", before.match(macroToken)];
  if (!found) return null;
  return { kind, query: found[1], from: before.length - found[1].length - 1, to: before.length };
}

function replace(from, to, text) {
  const box = wordsBox();
  box.focus();
  box.setRangeText(text, from, to, "end");
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

// --- the palette ---------------------------------------------------------------------------------------------------

const palette = () => $("#palette");
const options = () => $$("#palette [role=option]");
let dismissed = -1;
let loading = null;
let wanted = false;
let active = 0;

function closePalette() {
  loading?.abort();
  loading = null;
  wanted = false;
  const list = palette();
  if (!list || list.hidden) return;
  list.hidden = true;
  wordsBox()?.removeAttribute("aria-activedescendant");
  wordsBox()?.setAttribute("aria-expanded", "false");
}

function light(at) {
  const all = options();
  if (!all.length) return wordsBox().removeAttribute("aria-activedescendant");
  active = (at + all.length) % all.length;
  for (const [place, option] of all.entries()) option.setAttribute("aria-selected", String(place === active));
  all[active].scrollIntoView({ block: "nearest" });
  wordsBox().setAttribute("aria-activedescendant", all[active].id);
}

async function offer() {
  const sought = asked();
  if (!sought || sought.from === dismissed) {
    if (!sought) dismissed = -1;
    return closePalette();
  }
  const form = $("#composer");
  const address = sought.kind === "macro" ? form.dataset.macros : form.dataset.people;
  loading?.abort();
  const mine = (loading = new AbortController());
  let html;
  try {
    const response = await fetch(`${address}?q=${encodeURIComponent(sought.query)}`, {
      headers: { "HX-Request": "true" },
      signal: mine.signal,
    });
    if (!response.ok) return closePalette();
    html = await response.text();
  } catch {
    return; // asked again meanwhile, or no connection
  }
  if (loading !== mine) return;
  loading = null;
  const list = palette();
  list.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.children);
  // A stroke between two words, or an address: nothing is meant.
  if (!options().length && sought.query.length > 12) return closePalette();
  list.hidden = false;
  list.setAttribute("aria-label", sought.kind === "macro" ? list.dataset.macros : list.dataset.people);
  wordsBox().setAttribute("aria-expanded", "true");
  light(0);
  if (wanted) {
    wanted = false;
    if (options().length) pickOption(options()[active]);
  }
}

function pickOption(option) {
  const sought = asked();
  closePalette();
  if (!sought) return;
  if (option.dataset.macro) return useMacro(option.dataset.macro, sought);
  if (option.dataset.words) return replace(sought.from, sought.to, option.dataset.words);
  const form = $("#composer");
  callable.set(option.dataset.name, option.dataset.mention);
  replace(sought.from, sought.to, `@${option.dataset.name} `);
}

// Before anything else hears of the key.
document.addEventListener("keydown", (event) => {
  if (event.target.id !== "words") return;
  const open = palette() && !palette().hidden;
  if (!open && !(loading && (event.key === "Enter" || event.key === "Tab"))) return;
  if (event.ctrlKey || event.metaKey || event.isComposing) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") {
    dismissed = asked()?.from ?? -1;
    closePalette();
  } else if (step && open) light(active + step);
  else if (event.key === "Enter" || event.key === "Tab") {
    // The list for what was just typed is still on its way: the choice waits for it.
    if (loading) wanted = true;
    else if (options().length) pickOption(options()[active]);
    else return;
  } else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);
document.addEventListener("pointerdown", (event) => {
  const option = event.target.closest?.("#palette [role=option]");
  if (option) {
    event.preventDefault();
    pickOption(option);
  } else if (!event.target.closest?.("#palette, #words")) closePalette();
});
document.addEventListener("focusout", (event) => {
  if (event.target.id === "words" && !event.relatedTarget?.closest?.("#palette")) closePalette();
});

// --- macros --------------------------------------------------------------------------------------------------------

const strips = new Map();

async function useMacro(id, sought, locale = "") {
  const form = $("#composer");
  const response = await fetch(`${form.dataset.macros}/${id}${locale && `?locale=${locale}`}`, { headers: { "HX-Request": "true" } });
  if (!response.ok) return explain(response);
  const strip = new DOMParser().parseFromString(await response.text(), "text/html").querySelector(".strip");
  if ($("#composer") !== form) return;
  $("#strip").replaceChildren(strip);
  strips.set(form.dataset.draft, strip);
  replace(sought.from, sought.to, strip.dataset.text);
  nextUnfilled(sought.from);
}

function nextUnfilled(from = 0) {
  const box = wordsBox();
  const all = [...box.value.matchAll(UNFILLED)].filter((found) => nameOf(box.form, found[1]));
  const found = all.find((one) => one.index >= from) || all[0];
  if (!found) return;
  box.focus();
  box.setSelectionRange(found.index, found.index + found[0].length);
}

// What a name is called; a snippet by its own.
function nameOf(form, said) {
  const names = JSON.parse(form.dataset.names);
  return names[said] || (said.startsWith("snippet.") && names["snippet."].replace("{name}", () => said.slice(8)));
}

// What is missing is told while it is missing, wherever the text came from.
function tellUnfilled() {
  const box = wordsBox();
  const line = $("#unfilled");
  if (!box || !line) return;
  const left = new Set([...box.value.matchAll(UNFILLED)].map((found) => nameOf(box.form, found[1])).filter(Boolean));
  line.hidden = !left.size || mode() === "note";
  const list = new Intl.ListFormat(document.documentElement.lang, { type: "conjunction" });
  $("[data-unfilled]", line).textContent = list.format(left);
}

document.addEventListener("change", (event) => {
  if ("stripLanguage" in event.target.dataset) {
    const strip = event.target.closest(".strip");
    const box = wordsBox();
    const at = box.value.indexOf(strip.dataset.text);
    const place = at < 0 ? { from: box.value.length, to: box.value.length } : { from: at, to: at + strip.dataset.text.length };
    useMacro(strip.dataset.macro, place, event.target.value);
  }
  if (event.target.name === "mode") {
    closePalette();
    tellUnfilled();
  }
});

function takeStrip(form) {
  const strip = $(".strip", form);
  strips.delete(form.dataset.draft);
  strip?.remove();
  return strip;
}

const deedsOf = (strip) => $$("[data-deed]", strip).map((chip) => chip.dataset.deed);

// Nothing was written: what the macro does is done without a word to the customer.
document.addEventListener("ahlan:empty", async (event) => {
  const strip = $(".strip", event.target);
  if (!strip || !deedsOf(strip).length) return;
  const data = new FormData();
  for (const deed of deedsOf(strip)) data.append("action", deed);
  takeStrip(event.target);
  const response = await post(strip.dataset.do, data);
  if (!response.ok) return explain(response);
  catchUp();
});

// --- sending -------------------------------------------------------------------------------------------------------

const callable = new Map();
const underWay = new Map();

// What counts as seen: it stood at the end of the visible thread for a moment. Less is a glance.
const GLANCE = 1500;
let looked = { of: "", position: 0 };
const look = later(() => {
  const thread = $("#thread[data-conversation]");
  if (thread && !document.hidden && atEnd()) looked = { of: thread.dataset.conversation, position: lastPosition() };
}, GLANCE);
const watching = new MutationObserver(look);
document.addEventListener("visibilitychange", look);
document.addEventListener("scroll", (event) => event.target === scroller() && look(), true);

document.addEventListener("ahlan:sending", (event) => {
  const form = event.target;
  const { id, data, note, text, chips } = event.detail;
  closePalette();
  dismissed = -1;
  // The box is emptied next.
  queueMicrotask(tellUnfilled);
  if (note) {
    for (const [name, agent] of callable) if (text.includes(`@${name}`)) data.append("mention", agent);
    return;
  }
  data.set("seen", looked.position);
  const strip = takeStrip(form);
  if (strip) {
    data.set("macro", strip.dataset.macro);
    for (const deed of deedsOf(strip)) data.append("action", deed);
  }
  underWay.set(id, { text, chips, strip });
});

// The thread moved, or names are left in the text: the words wait in their bubble until somebody decides.
async function heldBack(id, response) {
  const said = await response.clone().json().catch(() => null);
  if (!said?.held) return false;
  const item = document.getElementById(id);
  const { data } = unsent.get(id);
  data.set("seen", said.held.seen);
  if (said.held.as_it_is) data.set("as_it_is", said.held.as_it_is);
  await catchUp();
  if (!item?.isConnected) return true;
  item.classList.remove("is-pending", "is-failed");
  item.classList.add("is-held");
  $("[data-held]", item).textContent = said.error.message;
  // What came meanwhile stands above it now, and both are in view.
  item.parentElement.append(item);
  toEnd();
  // Not on the other one: whoever pressed Enter twice has read nothing yet.
  $("[data-change-held]", item).focus();
  return true;
}

function changeHeld(item) {
  const kept = underWay.get(item.id);
  const form = $("#composer");
  setMode("reply");
  const box = wordsBox();
  box.value = [kept.text, box.value.trim()].filter(Boolean).join("\n\n");
  for (const chip of kept.chips) $("#files", form).append(chip);
  if (kept.strip) {
    $("#strip").replaceChildren(kept.strip);
    strips.set(form.dataset.draft, kept.strip);
  }
  unsent.delete(item.id);
  underWay.delete(item.id);
  item.remove();
  // Deciding took a look: what stands there now has been seen.
  looked = { of: $("#thread").dataset.conversation, position: lastPosition() };
  box.dispatchEvent(new Event("input", { bubbles: true }));
  nextUnfilled();
}

document.addEventListener("click", (event) => {
  const target = event.target.closest?.("[data-send-held], [data-change-held], [data-undeed], [data-unstrip], [data-next-unfilled], [data-put], [data-macros-open]");
  if (!target) return;
  const item = target.closest(".message");
  if ("sendHeld" in target.dataset) {
    // Once: a second click finds it on its way.
    if (!item.classList.contains("is-held")) return;
    item.classList.remove("is-held");
    deliver(item.id);
  } else if ("changeHeld" in target.dataset) changeHeld(item);
  else if ("undeed" in target.dataset) target.closest("[data-deed]").remove();
  else if ("unstrip" in target.dataset) takeStrip($("#composer"));
  else if ("nextUnfilled" in target.dataset) nextUnfilled(wordsBox().selectionEnd);
  else if ("macrosOpen" in target.dataset) acts.macro();
  else putName(target.dataset.put);
});

// --- colleagues ----------------------------------------------------------------------------------------------------

let saidWriting = 0;
const WRITING = 3000;
const refreshColleagues = later(async () => {
  const thread = $("#thread[data-conversation]");
  if (!thread) return;
  await refresh($("#composer").dataset.colleagues, "#colleagues");
  // Who stops writing says nothing: it is looked at again.
  if ($("#colleagues")?.hasAttribute("data-writing")) setTimeout(refreshColleagues, 7500);
}, 150);
document.addEventListener("live:colleagues", refreshColleagues);
document.addEventListener("live:open", refreshColleagues);

document.addEventListener("input", (event) => {
  if (event.target.id !== "words") return;
  offer();
  tellUnfilled();
  if (!event.target.value || Date.now() - saidWriting < WRITING) return;
  saidWriting = Date.now();
  post(event.target.form.dataset.writing, new FormData()).catch(() => {});
});

function settle() {
  const form = $("#composer");
  const thread = $("#thread[data-conversation]");
  if (form && thread && looked.of !== thread.dataset.conversation) {
    // Whoever opens a conversation reads it.
    looked = { of: thread.dataset.conversation, position: lastPosition() };
    saidWriting = 0;
    dismissed = -1;
  }
  if (form && !form.dataset.around) {
    form.dataset.around = "1";
    watching.disconnect();
    watching.observe($("#messages"), { childList: true });
    const strip = strips.get(form.dataset.draft);
    if (strip) $("#strip").replaceChildren(strip);
    tellUnfilled();
  }
  const written = $("form[data-preview-of]");
  if (written && !written.dataset.around) {
    written.dataset.around = "1";
    showWritten();
  }
}

document.addEventListener("htmx:after:settle", settle);

// --- writing a macro -----------------------------------------------------------------------------------------------

let lastWording = null;
document.addEventListener("focusin", (event) => {
  if ("wording" in (event.target.dataset || {})) lastWording = event.target;
});

function putName(name) {
  const field = lastWording?.isConnected ? lastWording : $("[data-wording]");
  field.focus();
  field.setRangeText(name, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

// Enter puts in the first that was found for what stands there; it saves nothing.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing || event.target.id !== "find-snippet") return;
  event.preventDefault();
  const wanted = event.target.value.trim();
  const found = $("#snippets");
  const first = $("[data-put]", found);
  if (wanted && found.dataset.foundFor.trim() === wanted && first) putName(first.dataset.put);
});

const showWritten = later(async () => {
  const form = $("form[data-preview-of]");
  if (!form || !$("#preview")) return;
  const response = await post(form.dataset.previewOf, new FormData(form));
  if (!response.ok) return;
  const shown = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("#preview");
  if (shown) $("#preview")?.replaceWith(shown);
}, 250);
document.addEventListener("input", (event) => {
  if (event.target.form?.dataset.previewOf) showWritten();
});

settle();
