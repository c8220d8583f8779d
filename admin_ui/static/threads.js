// What is done to a whole conversation: put together, taken apart, forwarded. A classic script like panel.js.

// Read the thread anew: its messages stand elsewhere, or have other numbers. What was being written goes along.
async function openThread(id) {
  const thread = $("#thread[data-conversation]");
  if (act()?.open) closeAct();
  if (!thread) return refreshQueue();
  const before = thread.dataset.conversation;
  if (before !== id && drafts.has(before) && !drafts.has(id)) drafts.set(id, drafts.get(before));
  const here = new URL(location.href);
  here.pathname = `${base}/inbox/${id}`;
  here.searchParams.delete("at");
  await htmx.ajax("GET", here.pathname + here.search, { target: "#thread", swap: "outerHTML", source: thread });
  if (location.pathname.startsWith(`${base}/inbox/`)) history.replaceState(history.state, "", here.pathname + here.search);
  markPlace();
}
document.addEventListener("ahlan:thread", (event) => openThread(event.detail.id));

// A colleague did it: the hint comes for the one that is open.
document.addEventListener("live:moved", (event) => {
  const { into } = JSON.parse(event.detail.data || "{}");
  if (into && $("#thread[data-conversation]")) openThread(into);
});
const renumbered = later(() => {
  const thread = $("#thread[data-conversation]");
  if (thread) openThread(thread.dataset.conversation);
}, 150);
document.addEventListener("live:renumbered", renumbered);

// --- forwarding ----------------------------------------------------------------------------------------------------

function dressForward() {
  const fields = $("#forward-fields");
  if (!fields) return;
  const on = mode() === "forward";
  fields.hidden = !on;
  for (const field of $$("input:not([type=hidden])", fields)) field.disabled = !on;
  const form = $("#composer");
  form.classList.toggle("is-forward", on);
  if (on) form.elements.text.placeholder = form.dataset.forwardWords;
}
document.addEventListener("change", (event) => event.target.name === "mode" && dressForward());
document.addEventListener("htmx:after:settle", dressForward);

function startForward(only) {
  closeMenus();
  setMode("forward");
  dressForward();
  forwardOnly(only);
  $("#forward-to")?.focus();
}

function forwardOnly(id) {
  const field = $("#forward-only");
  if (!field) return;
  field.value = id;
  $("[data-forward-all]").hidden = Boolean(id);
  $("[data-forward-one]").hidden = !id;
}

document.addEventListener("click", (event) => {
  const target = event.target.closest?.("[data-forward], [data-forward-whole]");
  if (!target || target.id === "composer") return;
  if ("forwardWhole" in target.dataset) forwardOnly("");
  else startForward(target.dataset.forward);
});

document.addEventListener("ahlan:sending", (event) => {
  if (mode() !== "forward") return;
  const { data } = event.detail;
  data.set("to", $("#forward-to").value);
  data.set("subject", $("#forward-subject").value);
  data.set("only", $("#forward-only").value);
  data.set("files", $("#forward-files").checked ? "yes" : "");
  forwardOnly("");
});
