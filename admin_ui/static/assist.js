// A language model beside a conversation: drafts, summaries, translations. Loaded after writing.js and chat.js and made of
// their hands ($, $$, post, put, explain, later, unsent, mode, wordsBox). Nothing here sends a message.

const originals = new Map();
const assistDone = new WeakSet();
const assistPlace = () => $("#assist");

function assistSay(into, text) {
  const line = document.createElement("p");
  line.className = "assist-wait";
  line.textContent = text;
  into.replaceChildren(line);
}

async function assistAsk(button) {
  const thread = $("#thread");
  const into = $(button.dataset.assistInto || "#assist");
  const fills = button.dataset.assistFill && button.form.elements[button.dataset.assistFill];
  const place = assistPlace();
  if (!into || button.disabled) return;
  const data = new FormData();
  if (button.dataset.assistWith) data.set("text", wordsBox().value);
  button.disabled = true;
  assistSay(into, place.dataset.assistWait);
  try {
    const response = await post(button.dataset.assistAsk, data);
    if (!response.ok) {
      into.replaceChildren();
      await explain(response);
    } else put(into, await response.text());
  } catch {
    assistSay(into, place.dataset.assistTrouble);
  }
  button.disabled = false;
  // Another conversation is open by now: its agent asked nothing.
  if (thread !== $("#thread")) return;
  const words = fills && $("[data-assist-text]", into);
  if (!words) return;
  fills.value = [fills.value.trim(), words.textContent.trim()].filter(Boolean).join("\n\n").slice(0, fills.maxLength);
  into.replaceChildren();
  fills.focus();
}

function showOriginal(form) {
  $(".assist-kept", form)?.remove();
  const said = originals.get(form.dataset.draft);
  if (!said || !$("#assist-kept")) return;
  const kept = $("#assist-kept").content.firstElementChild.cloneNode(true);
  $("input", kept).value = said;
  $("[data-assist-said]", kept).textContent = said;
  assistPlace().before(kept);
}

function useAssisted(button) {
  const card = button.closest(".assist-card");
  const box = wordsBox();
  const words = $("[data-assist-text]", card).textContent;
  if (button.dataset.assistUse === "answer") {
    originals.set(box.form.dataset.draft, $("[data-assist-said]", card).textContent);
    showOriginal(box.form);
    box.value = words;
  } else box.value = [box.value.trim(), words].filter(Boolean).join("\n\n");
  card.remove();
  box.focus();
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("click", (event) => {
  const target = event.target.closest?.("[data-assist-ask], [data-assist-use], [data-assist-close], [data-assist-forget], [data-assist-switch]");
  if (!target) return;
  if ("assistAsk" in target.dataset) assistAsk(target);
  else if ("assistUse" in target.dataset) useAssisted(target);
  else if ("assistClose" in target.dataset) target.closest(".assist-card").remove();
  else if ("assistForget" in target.dataset) {
    originals.delete(target.closest("form").dataset.draft);
    target.closest(".assist-kept").remove();
  } else {
    target.closest(".message").classList.toggle("shows-original");
    [target.textContent, target.dataset.other] = [target.dataset.other, target.textContent];
  }
});

document.addEventListener("ahlan:sending", (event) => {
  const form = event.target;
  const said = originals.get(form.dataset.draft);
  if (!said || event.detail.note) return;
  event.detail.data.set("original", said);
  originals.delete(form.dataset.draft);
  $(".assist-kept", form)?.remove();
});

// Before the words go back into the box and their data is forgotten.
document.addEventListener("click", (event) => {
  const item = event.target.closest?.("[data-change-held]")?.closest(".message");
  const said = item && unsent.get(item.id)?.data.get("original");
  if (!said) return;
  originals.set($("#composer").dataset.draft, said);
  showOriginal($("#composer"));
}, true);

// What a shopper wrote in a language that the agent does not read: asked for together, the newest that are on the page.
const translateShown = later(async () => {
  const place = assistPlace();
  const address = place?.dataset.assistTranslations;
  if (!address) return;
  const reads = place.dataset.assistReads.split(" ");
  // Arabic in Latin letters looks like English: where the customer writes another language, the server looks closer.
  const closer = !reads.includes(place.dataset.assistTheirs);
  const foreign = $$("[data-assist-message]").filter((one) => !assistDone.has(one) && (closer || !reads.includes(one.dataset.assistSpoken))).slice(-12);
  if (!foreign.length) return;
  const data = new FormData();
  for (const one of foreign) {
    assistDone.add(one);
    data.append("message", one.dataset.assistMessage);
  }
  const response = await post(address, data).catch(() => null);
  if (!response?.ok || assistPlace() !== place) return;
  const found = new DOMParser().parseFromString(await response.text(), "text/html").body;
  const trouble = $(".assist-card", found);
  if (trouble) return void place.replaceChildren(trouble);
  for (const made of $$("[data-assist-for]", found)) {
    const one = foreign.find((each) => each.dataset.assistMessage === made.dataset.assistFor);
    if (!one?.isConnected) continue;
    $(".assist-words", one).textContent = made.textContent;
    one.hidden = false;
    one.closest(".message").classList.add("is-translated");
  }
}, 200);

const assistWatching = new MutationObserver(translateShown);

function assistSettle() {
  const form = $("#composer");
  if (!form || form.dataset.assisted || !assistPlace()) return;
  form.dataset.assisted = "1";
  assistWatching.disconnect();
  assistWatching.observe($("#messages"), { childList: true });
  showOriginal(form);
  translateShown();
}

document.addEventListener("htmx:after:settle", assistSettle);
assistSettle();
