// The dialog in which an order is acted on. Its views are htmx fragments; here is what opens, closes and follows it.

const act = () => document.getElementById("act");

async function openAct(path) {
  const dialog = act();
  if (!dialog.open) {
    dialog.querySelector("#act-body").replaceChildren(document.getElementById("act-waits").content.cloneNode(true));
    dialog.showModal();
    // What is said meanwhile stays above the dialog.
    dialog.append(document.getElementById("toasts"));
  }
  await htmx.ajax("GET", path, { target: "#act-body", swap: "innerHTML", source: dialog });
  const body = dialog.querySelector("#act-body");
  (body.querySelector("input:not([type=hidden], [readonly]), textarea, select") || body.querySelector(".primary, .act-choice"))?.focus();
}

function closeAct() {
  act().close();
}

document.addEventListener("click", (event) => {
  const target = event.target.closest?.("[data-act], [data-act-close], [data-act-write]");
  if (!target) return;
  if (target.dataset.act) openAct(target.dataset.act);
  else if (target.dataset.actWrite) {
    const field = document.getElementById("words");
    if (!field) return;
    closeAct();
    field.value = [field.value.trimEnd(), target.dataset.actWrite].filter(Boolean).join("\n");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  } else closeAct();
});

// An order that is named: above what is open, unless somebody wants it in a window of its own.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-sheet]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  openAct(link.dataset.sheet);
}, true);
document.addEventListener("ahlan:tied", () => act().open && closeAct());

// A click beside the dialog closes it; what is on its way goes on.
document.addEventListener("mousedown", (event) => {
  if (event.target === act() && act().open) closeAct();
});

document.getElementById("act")?.addEventListener("close", () => {
  document.body.append(document.getElementById("toasts"));
  act().querySelector("#act-body").replaceChildren();
});

// A reply can take the link only where one is being written.
document.addEventListener("htmx:after:settle", () => {
  for (const button of document.querySelectorAll("[data-act-write]")) button.hidden = !document.getElementById("words");
});

// The order was read anew: what stands beside the conversation, or on the customer's page, follows.
document.addEventListener("ahlan:acted", () => {
  const thread = document.querySelector("#thread[data-conversation]");
  if (thread) refresh(thread.dataset.customer, "#customer");
  else if (document.querySelector(".person-head")) htmx.ajax("GET", location.pathname, { target: "#page", swap: "innerMorph" });
});
