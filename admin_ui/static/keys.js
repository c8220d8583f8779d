// What the keys do. Which keys there are, and their words, stands in admin_ui/keys.py; the list behind ? carries the
// table here. A classic script like panel.js and writing.js: one page, one set of names.

const byName = (name) => () => document.getElementById(name)?.focus();
const click = (selector) => () => $(selector)?.click();
const visit = (path) => () => htmx.ajax("GET", `${base}${path}`, { target: "#page", swap: "innerHTML", push: "true" });

const acts = {
  next: () => walk(1),
  previous: () => walk(-1),
  pick: pickHere,
  filter: byName("find"),
  views: () => {
    showViews(true);
    // What is still on its way in takes no focus.
    setTimeout(() => ($("#views [aria-current]") || $("#views a"))?.focus(), 50);
  },
  back: click("#thread .back"),
  reply: () => setMode("reply"),
  note: () => setMode("note"),
  macro: () => {
    setMode("reply");
    typeSign(signOf("macro_here"));
  },
  take,
  assign: byName("assign"),
  turn: click("#turn"),
  wait: click("#more [value=pending]"),
  snooze: () => openMenu("snooze"),
  spam: click("#more [value=spam]"),
  priority: byName("priority"),
  tag: byName("tag"),
  subject: byName("subject"),
  older: click("[data-older]"),
  order: () => openAct($(".act-open [data-act]").dataset.act),
  forward: () => startForward(""),
  merge: () => openAct($("#merge-open").dataset.act),
  tie: () => openAct($("#tie-open").dataset.act),
  menu: () => openMenu("more"),
  attach: click("[data-attach]"),
  customer: () => {
    const toggle = $("#thread-head .customer-toggle");
    if (toggle?.offsetParent) toggle.click();
    else $("#customer a, #customer summary")?.focus();
  },
  earlier: () => moveMark(-1),
  later: () => moveMark(1),
  sign: (event) => signMark(event.code.at(-1)),
  edit: () => doToMark("edit"),
  delete: () => doToMark("delete"),
  restore: () => doToMark("restore"),
  split: () => doToMark("split"),
  forward_one: () => doToMark("forward"),
  tools: showTools,
  notes: markNotes,
  note_new: writeCustomerNote,
  send: () => send($("#composer")),
  save_words: () => null, // these four: wording.js
  bold_words: () => null,
  slanted_words: () => null,
  link_words: () => null,
  macro_here: () => null, // typed like any sign: writing.js sees it
  mention: () => null, // the same
  leave: () => $("#words").blur(),
  home: visit(""),
  inbox: visit("/inbox"),
  visitors: visit("/visitors"),
  customers: visit("/customers"),
  help: visit("/help"),
  stores: visit("/stores"),
  reports: visit("/reports"),
  team: visit("/team"),
  settings: visit("/settings"),
  find: () => null, // with a modifier: search.js hears it, also while somebody writes
  search,
  undo: () => $$(".toast [data-undo]").at(-1)?.click(),
  keys: () => showKeys(),
};

const table = $$("#keys [data-key]").map((row) => ({
  row,
  act: row.dataset.key,
  codes: row.dataset.codes.split(" ").filter(Boolean).map((code) => code.split("|")),
  sign: row.dataset.sign,
  needs: row.dataset.needs,
  writing: "writing" in row.dataset,
}));
const possible = (key) => !key.needs || $(key.needs) !== null;

function signOf(act) {
  return table.find((key) => key.act === act).sign;
}

// Only what this page can do is listed.
function showKeys() {
  for (const key of table) key.row.hidden = !possible(key);
  for (const group of $$(".keys-group")) group.hidden = !$("[data-key]:not([hidden])", group);
  $("#keys").showModal();
}

// The first key of two waits a moment for the second.
const PATIENCE = 1200;
let first = { code: "", at: 0 };

function pressed(event) {
  const signed = table.find((key) => !key.writing && key.sign && key.sign === event.key);
  if (signed) return signed;
  // The places of / and ? hold other signs on an Arabic and a Hebrew keyboard.
  if (event.code === "Slash") return table.find((key) => !key.writing && key.sign === (event.shiftKey ? "?" : "/"));
  if (event.shiftKey) return null;
  const before = Date.now() - first.at < PATIENCE ? first.code : "";
  first = { code: "", at: 0 };
  const both = before && table.find((key) => key.codes.length === 2 && key.codes[0].includes(before) && key.codes[1].includes(event.code));
  if (both) return both;
  if (table.some((key) => key.codes.length === 2 && key.codes[0].includes(event.code))) {
    first = { code: event.code, at: Date.now() };
    return null;
  }
  return table.find((key) => key.codes.length === 1 && key.codes[0].includes(event.code));
}

document.addEventListener("keydown", (event) => {
  if (event.target.id === "words" && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    acts.send();
    return;
  }
  if (event.key === "Escape") {
    const menu = event.target.closest?.("details.menu[open]");
    closeMenus();
    showViews(false);
    if (menu) $("summary", menu).focus();
    else if (event.target.id === "words") acts.leave();
    else if (event.target.closest?.("#composer, .finder, .thread-marks, .assign")) event.target.blur();
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select, dialog[open]")) return;
  const key = pressed(event);
  if (!key || !possible(key)) return;
  event.preventDefault();
  acts[key.act](event);
});
