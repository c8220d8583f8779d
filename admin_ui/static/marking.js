// One message, or one note on the customer, marked and acted on by keys. A classic script like panel.js.

const MARKABLE = { message: "#messages > .message[data-position]:not(.is-pending)", note: "#notes li" };
const markedLine = () => $(".is-marked");
const kindOfMark = () => (markedLine()?.closest("#notes") ? "note" : "message");

function setMark(line) {
  const before = markedLine();
  before?.classList.remove("is-marked");
  before?.removeAttribute("tabindex");
  if (!line) return;
  line.classList.add("is-marked");
  line.tabIndex = -1;
  line.focus({ preventScroll: true });
  line.scrollIntoView({ block: "nearest" });
}

// The line was read anew: its mark and the focus go along. One that is being edited takes the focus itself.
function passMark(before, after) {
  if (!before.classList.contains("is-marked")) return;
  const held = before.contains(document.activeElement) || document.activeElement === document.body;
  after.classList.add("is-marked");
  after.tabIndex = -1;
  if (held && !$("form", after)) after.focus({ preventScroll: true });
}

function moveMark(step) {
  const lines = $$(MARKABLE[kindOfMark()]);
  const at = lines.indexOf(markedLine());
  if (at < 0) return setMark(lines.at(-1));
  if (at + step < 0) $("[data-older]")?.click();
  setMark(lines[Math.min(lines.length - 1, Math.max(0, at + step))]);
}

function markNotes() {
  showCustomer();
  setMark($(MARKABLE.note));
}

function writeCustomerNote() {
  showCustomer();
  $("#note-new").focus();
}

// Where it has no room beside the conversation, it takes its place.
function showCustomer() {
  if ($("#notes") && !$("#notes").offsetParent) $("#thread-head .customer-toggle")?.click();
}

// Without a mark the newest message gets it, and the next press acts: what a key does is seen before it is done.
function onMark(what) {
  const line = markedLine();
  if (line) return what(line);
  setMark($$(MARKABLE.message).at(-1));
}

const NOTE_HANDS = { edit: "[hx-get*='edit=']", delete: "[hx-post$='/delete']" };
const MESSAGE_HANDS = {
  edit: "[data-message-get]", delete: "[data-message-post$='/delete']:not([data-value-undo])",
  restore: "[data-message-post$='/delete'][data-value-undo]", split: "[data-act$='/split']", forward: "[data-forward]",
};

function doToMark(name) {
  onMark(async (line) => {
    const hand = kindOfMark() === "note" ? $(NOTE_HANDS[name] || "none", line) : await handOf(line, MESSAGE_HANDS[name]);
    if (hand) hand.click();
    else toast(words.not_here);
  });
}

// What may be done to a message is known to the server alone.
async function handOf(line, selector) {
  const html = $(".tools", line) && (await read($(".tools [data-tools]", line).dataset.tools));
  // A hint may have put the line there anew meanwhile.
  const list = html && $(`#${CSS.escape(line.id)} .tools [data-tools]`);
  if (!list) return null;
  put(list, html);
  return $(selector, list);
}

function signMark(number) {
  onMark(async (line) => {
    if (kindOfMark() === "note") return toast(words.not_here);
    const choice = await handOf(line, `.sign-board button:nth-child(${number})`);
    if (!choice) return toast(words.not_here);
    const mine = $$(`#${CSS.escape(line.id)} .sign-chip[aria-pressed=true]`).find((chip) => chip.dataset.valueSign === choice.dataset.valueSign);
    (mine || choice).click();
  });
}

function showTools() {
  onMark((line) => {
    const menu = $("details.tools", line);
    if (menu) menu.open = true;
    else toast(words.not_here);
  });
}

document.addEventListener("keydown", (event) => {
  const form = event.target.closest?.(".note-form");
  if (form && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  } else if (form && event.key === "Escape") {
    const cancel = $("[hx-get]", form);
    if (cancel) cancel.click();
    else event.target.blur();
  } else if (event.key === "Escape" && event.target === markedLine()) {
    setMark(null);
    scroller()?.focus();
  }
});
