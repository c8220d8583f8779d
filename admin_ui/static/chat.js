// Live chat in the panel: what can be done to a message, cards and emoji in the composer, what a shopper is typing.
// Loaded after panel.js and made of its hands ($, post, place, explain, toast, upload, later).

const BOARD =
  "😀 😄 😂 🙂 😉 😊 😍 🥰 😘 🤗 🤔 😐 😕 🙁 😢 😭 😡 😱 🥳 😴 👍 👎 👌 🙏 👏 🙌 💪 👋 🤝 ❤️ 💔 💐 🌹 ⭐ 🔥 🎉 🎁 ✅ ❌ ❓ 📦 🚚".split(" ");

async function read(url) {
  const response = await fetch(url, { headers: { ...headers(), Accept: "text/html", "HX-Request": "true" } });
  if (!response.ok) {
    await explain(response);
    return null;
  }
  return response.text();
}

// Our own templates, escaped on the server; parsed as a document that runs nothing.
function put(into, html) {
  into.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
}

// --- what can be done to a message ---------------------------------------------------------------------------------

document.addEventListener("toggle", async (event) => {
  const menu = event.target;
  const list = menu.matches?.("details.tools") && menu.open && $("[data-tools]", menu);
  if (!list) return;
  const html = await read(list.dataset.tools);
  if (html === null || !menu.open || !menu.isConnected) return;
  put(list, html);
  list.classList.toggle("is-up", list.getBoundingClientRect().bottom > list.closest(".scroller").getBoundingClientRect().bottom);
  $("button", list)?.focus();
}, true);

async function change(url, values, undo = "") {
  const data = new FormData();
  for (const [name, value] of Object.entries(values)) data.set(name, value);
  const response = await post(url, data);
  if (!response.ok) {
    await explain(response);
    return false;
  }
  place(await response.text());
  if (undo) toast(undo, "", "", { undo: words.undo, action: url, values: { undo: "1" }, places: true });
  return true;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-message-post], [data-message-get]");
  if (!button) return;
  if (button.dataset.messageGet) {
    const line = button.closest(".message");
    $("form.editing", line)?.classList.remove("is-kept");
    const html = await read(button.dataset.messageGet);
    if (html === null) return;
    place(html);
    const field = $(`#${CSS.escape(line.id)} form.editing textarea`);
    if (!field) return;
    field.form.classList.add("is-kept");
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
    return;
  }
  const values = {};
  for (const [name, value] of Object.entries(button.dataset)) {
    if (name.startsWith("value")) values[name.slice(5).toLowerCase()] = value;
  }
  await change(button.dataset.messagePost, values, button.dataset.undo);
});

async function saveEdit(form) {
  const line = form.closest(".message");
  form.classList.remove("is-kept");
  if (await change(form.dataset.messageForm, { text: form.elements.text.value })) $(`#${CSS.escape(line.id)} .tools summary`)?.focus();
  else form.classList.add("is-kept");
}

document.addEventListener("submit", (event) => {
  if (!event.target.dataset.messageForm) return;
  event.preventDefault();
  saveEdit(event.target);
});
document.addEventListener("keydown", (event) => {
  const form = event.target.closest?.("form.editing");
  if (!form) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) saveEdit(form);
  else if (event.key === "Escape") $("[data-message-get]", form).click();
  else return;
  event.preventDefault();
});

// --- emoji, pictures -----------------------------------------------------------------------------------------------

function showEmoji(whether) {
  const board = $("#emoji");
  if (!board) return;
  if (whether && !board.childElementCount) {
    for (const sign of BOARD) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "quiet";
      button.textContent = sign;
      board.append(button);
    }
  }
  board.hidden = !whether;
  $("[data-emoji]").setAttribute("aria-expanded", String(whether));
  if (whether) board.firstElementChild.focus();
}

document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-emoji]")) return showEmoji($("#emoji").hidden);
  const sign = event.target.closest?.("#emoji button");
  if (!sign) return;
  const field = $("#words");
  field.setRangeText(sign.textContent, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !event.target.closest?.("#emoji")) return;
  showEmoji(false);
  $("[data-emoji]").focus();
});

document.addEventListener("paste", (event) => {
  const form = event.target.closest?.("#composer");
  const files = [...(event.clipboardData?.files || [])];
  if (!form || !files.length) return;
  event.preventDefault();
  upload(form, files);
});
document.addEventListener("dragover", (event) => {
  if (event.target.closest?.(".talk") && [...event.dataTransfer.types].includes("Files")) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  const files = [...event.dataTransfer.files];
  if (!event.target.closest?.(".talk") || !files.length || !$("#composer")) return;
  event.preventDefault();
  upload($("#composer"), files);
});

// --- cards, answers to choose from ---------------------------------------------------------------------------------

async function offerCards() {
  const list = $("[data-offer]");
  const html = list && (await read(`${list.dataset.offer}?q=${encodeURIComponent($("[data-offer-words]", list).value)}`));
  if (html !== null && html !== undefined && list.isConnected) put($("[data-offer-list]", list), html);
}
const offerSoon = later(offerCards, 200);

document.addEventListener("toggle", (event) => {
  if (event.target.id === "carry" && event.target.open) offerCards();
}, true);
document.addEventListener("input", (event) => {
  if ("offerWords" in (event.target.dataset || {})) offerSoon();
});
document.addEventListener("keydown", (event) => {
  // Inside the composer's form Enter would send it.
  if (event.key === "Enter" && "offerWords" in (event.target.dataset || {})) event.preventDefault();
});

function carry(kind, value, name) {
  const form = $("#composer");
  if ($$(".chip[data-carried]", form).some((chip) => chip.dataset.carried === kind && chip.dataset.value === value)) return;
  const chip = document.createElement("span");
  chip.className = "chip";
  Object.assign(chip.dataset, { carried: kind, value, name });
  const label = document.createElement("bdi");
  label.textContent = name;
  const drop = document.createElement("button");
  drop.type = "button";
  drop.className = "quiet";
  drop.textContent = "×";
  drop.setAttribute("aria-label", `${words.remove} ${name}`);
  drop.addEventListener("click", () => chip.remove());
  chip.append(label, drop);
  $("#files", form).append(chip);
}

document.addEventListener("click", (event) => {
  const choice = event.target.closest?.("[data-carry]");
  if (choice) {
    carry("card", choice.dataset.carry, choice.dataset.name);
    $("#words").focus();
  }
  if (!event.target.closest?.("[data-answers-add]")) return;
  const field = $("[data-answers]");
  for (const line of field.value.split("\n").map((text) => text.trim()).filter(Boolean)) carry("answer", line, line);
  field.value = "";
  $("#words").focus();
});

// --- what the shopper is typing ------------------------------------------------------------------------------------

let typedTimer = 0;
function forgetTyped() {
  clearTimeout(typedTimer);
  const spot = $("#typed");
  if (spot) spot.hidden = true;
}
document.addEventListener("live:message", forgetTyped);
document.addEventListener("live:typing", async () => {
  const thread = $("#thread[data-typed]");
  if (!thread) return;
  const response = await fetch(thread.dataset.typed, { headers: { ...headers(), "HX-Request": "true" } }).catch(() => null);
  if (!response?.ok || $("#thread") !== thread) return;
  const spot = $("#typed");
  put(spot, await response.text());
  spot.hidden = !spot.textContent.trim();
  clearTimeout(typedTimer);
  typedTimer = setTimeout(forgetTyped, 8000);
});
