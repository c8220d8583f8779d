// The panel's few moving parts; everything else is htmx. No inline code, no eval: the page's policy forbids both.

const body = document.body;
const base = body.dataset.base;
const words = JSON.parse(body.dataset.words);
const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
const headers = () => JSON.parse(body.getAttribute("hx-headers:inherited") || "{}");

// --- where we are --------------------------------------------------------------------------------------------------

function markPlace() {
  const here = location.pathname.replace(/\/$/, "");
  let best = null;
  for (const link of $$("[data-nav]")) {
    link.removeAttribute("aria-current");
    const path = link.dataset.nav;
    const inside = here === path || (path !== base && here.startsWith(`${path}/`));
    if (inside && (!best || path.length > best.dataset.nav.length)) best = link;
  }
  best?.setAttribute("aria-current", "page");
  // The phone's bar holds more places than it shows at once.
  best?.scrollIntoView({ block: "nearest", inline: "center" });
  $("nav.tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  const open = $("#thread")?.dataset.conversation;
  for (const row of $$(".row")) {
    if (row.dataset.row === open) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

// --- toasts --------------------------------------------------------------------------------------------------------

function toast(message, hint = "", request = "", undo = null) {
  // A double click says the same thing once.
  const said = [message, hint].filter(Boolean).join(" ");
  for (const earlier of $$("#toasts .toast")) if (earlier.firstElementChild.textContent === said) earlier.remove();
  const box = document.createElement("div");
  box.className = "toast";
  box.setAttribute("role", undo ? "status" : "alert");
  const text = document.createElement("span");
  text.textContent = said;
  if (request) {
    const number = document.createElement("span");
    number.className = "faint";
    number.textContent = ` ${words.request} \u2066${request.slice(0, 8)}\u2069`;
    text.append(number);
  }
  box.append(text);
  if (undo) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.dataset.undo = "";
    button.textContent = undo.undo;
    button.addEventListener("click", () => takeBack(box, undo));
    box.append(button);
  }
  const close = document.createElement("button");
  close.type = "button";
  close.className = "quiet icon";
  close.dataset.dismiss = "";
  close.setAttribute("aria-label", words.dismiss);
  close.textContent = "×";
  box.append(close);
  $("#toasts").append(box);
  fade(box);
}

document.addEventListener("ahlan:toast", (event) => toast(event.detail.text, "", "", event.detail));

async function takeBack(box, undo) {
  box.remove();
  const data = new FormData();
  for (const [name, value] of Object.entries(undo.values)) data.set(name, value);
  const response = await post(undo.action, data);
  if (!response.ok) return explain(response);
  if (undo.places) return place(await response.text());
  const thread = $("#thread[data-conversation]");
  if (thread && undo.action.includes(thread.dataset.conversation)) await refresh(thread.dataset.head, "#thread-head");
  refreshQueue();
}

function fade(box) {
  if (box.dataset.fading) return;
  box.dataset.fading = "1";
  // Long enough to read and reach; it stays while the pointer or the focus is on it.
  const leave = () => (box.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : box.remove());
  setTimeout(leave, 8000);
}

async function explain(response) {
  if (response.status === 401 && !body.classList.contains("embedded")) {
    location.href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
    return;
  }
  const problem = await response.json().then((shape) => shape.error, () => null);
  if (problem?.code === "second_step_needed") {
    // That page says it itself, and nothing else opens before.
    const there = `${body.dataset.base}/settings/security`;
    if (location.pathname !== there) location.href = there;
    return;
  }
  toast(problem?.message || words.failed, problem?.what_to_do || "", response.status >= 500 ? problem?.request_id : "");
}

// Errors come as JSON in one shape: they are said, never swapped into the page.
document.addEventListener("htmx:before:response", (event) => {
  const { ctx } = event.detail;
  const response = ctx.response.raw;
  if (response.status < 400 || !(response.headers.get("content-type") || "").includes("json")) return;
  event.preventDefault();
  explain(response);
});
document.addEventListener("htmx:error", (event) => {
  if (event.detail.ctx && event.detail.error instanceof TypeError) toast(words.offline);
});

// --- requests of our own -------------------------------------------------------------------------------------------

// fetch, never XMLHttpRequest: inside Shopify, App Bridge adds its token to fetch only.
async function post(url, data) {
  return fetch(url, { method: "POST", body: data, headers: { ...headers(), Accept: "text/html", "HX-Request": "true" } });
}

async function refresh(url, target, swap = "outerMorph") {
  if ($(target)) await htmx.ajax("GET", url, { target, swap, source: $(target) });
}

function later(action, wait) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, wait);
  };
}

// --- menus ---------------------------------------------------------------------------------------------------------

function closeMenus(but = null) {
  for (const menu of $$("details.menu[open]")) if (menu !== but) menu.open = false;
}

document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (!menu.matches?.("details.menu") || !menu.open) return;
  closeMenus(menu);
  // Where it would leave the window it opens to the other side.
  const list = $(".menu-list", menu);
  list.classList.remove("is-up");
  if (list.getBoundingClientRect().bottom > innerHeight) list.classList.add("is-up");
  enterMenu(menu);
}, true);
document.addEventListener("click", (event) => {
  const menu = event.target.closest?.("details.menu");
  if (!menu) closeMenus();
  // What was chosen is under way: the menu has done its work.
  else if (event.target.closest(".menu-list button") && event.target.form?.checkValidity() !== false) setTimeout(closeMenus);
});

function enterMenu(menu) {
  $("input:not([type=hidden]), button", $(".menu-list", menu))?.focus();
}

function openMenu(id) {
  const menu = document.getElementById(id);
  if (!menu) return;
  menu.open = true;
  // At once, not at the toggle event: the next key may be on its way already.
  enterMenu(menu);
}

// The lists, where they have no room beside the list. Kept here: the list is read again while they are open.
let viewsShown = false;
function showViews(whether) {
  viewsShown = whether;
  $("#queue")?.classList.toggle("shows-views", whether);
  $("[data-views]")?.setAttribute("aria-expanded", String(whether));
}
document.addEventListener("click", (event) => {
  if (viewsShown && !event.target.closest?.("[data-views], #views form")) showViews(false);
});

// --- many at once --------------------------------------------------------------------------------------------------

const picks = () => $$("#rows input[name=id]");
// Kept here: the list is read again while somebody chooses.
const chosen = new Set();

function choose(pick, whether) {
  pick.checked = whether;
  if (whether) chosen.add(pick.value);
  else chosen.delete(pick.value);
}

function countPicks() {
  const many = $("#many");
  if (!many) return;
  for (const pick of picks()) pick.checked = chosen.has(pick.value);
  const count = picks().filter((pick) => pick.checked).length;
  many.hidden = !count;
  $("#queue").classList.toggle("is-picking", count > 0);
  if (count) $("[data-many-count]", many).textContent = words.chosen.replace("%(count)s", count);
}

function unpick() {
  chosen.clear();
  countPicks();
}

function pickHere() {
  const row = $(".row[aria-current]") || document.activeElement.closest?.(".row") || $(".row");
  const pick = row && $("input[name=id]", row.closest("li"));
  if (!pick) return;
  choose(pick, !pick.checked);
  countPicks();
}

document.addEventListener("ahlan:changed", () => {
  unpick();
  refreshQueue();
  const thread = $("#thread[data-conversation]");
  if (thread) refresh(thread.dataset.head, "#thread-head");
});

// --- thread --------------------------------------------------------------------------------------------------------

const scroller = () => $("#scroller");
const atEnd = () => {
  const pane = scroller();
  return !pane || pane.scrollHeight - pane.scrollTop - pane.clientHeight < 80;
};
const toEnd = () => {
  const pane = scroller();
  if (pane) pane.scrollTop = pane.scrollHeight;
};

function order(item) {
  return Number(item.dataset.position) * 4 + Number(item.dataset.order);
}

// List items by id: what is there is replaced, what is new goes to its place. A resend cannot double anything.
function place(html) {
  const list = $("#messages");
  if (!list) return;
  const stay = atEnd();
  const page = new DOMParser().parseFromString(html, "text/html");
  for (const item of [...page.querySelectorAll("body > li")]) {
    if (item.id === "older") continue;
    if (item.id === "mark") {
      list.dataset.mark = item.dataset.mark;
      continue;
    }
    const known = document.getElementById(item.id);
    // Changed by somebody else while it is being edited here: the words in the form are not thrown away.
    if (known && $("form.editing.is-kept", known)) continue;
    if (known) {
      known.replaceWith(item);
      passMark(known, item);
      // A menu that was open stays open, with what can be done now.
      const menu = $("details.tools", item);
      if (menu && $("details.tools[open]", known)) menu.open = true;
      continue;
    }
    const next = [...list.children].find((child) => child.dataset.position && order(child) > order(item));
    const pending = [...list.children].find((child) => !child.dataset.position);
    list.insertBefore(item, next || pending || null);
  }
  markRead(Number(list.dataset.readSeq));
  if (stay) toEnd();
  seen();
  return page;
}

function lastPosition() {
  return Math.max(0, ...$$("#messages > .message[data-position]").map((item) => Number(item.dataset.position)));
}

let fetching = false;
let again = false;
const SOONEST_AGAIN = 500;
let catchUpWait = SOONEST_AGAIN;
let catchUpTimer = 0;
async function catchUp() {
  const thread = $("#thread[data-conversation]");
  if (!thread) return;
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  let answered = false;
  clearTimeout(catchUpTimer);
  try {
    const response = await fetch(`${thread.dataset.messages}?after=${lastPosition()}&mark=${encodeURIComponent($("#messages").dataset.mark)}`, { headers: { "HX-Request": "true" } });
    if (response.ok && $("#thread") === thread) place(await response.text());
    answered = response.status < 500;
  } catch {
    // No connection, or whoever was asked died: the stream may be another process's, and then no hint comes again.
  } finally {
    fetching = false;
    if (!answered) {
      catchUpTimer = setTimeout(catchUp, catchUpWait);
      catchUpWait = Math.min(2 * catchUpWait, 30_000);
    } else if (catchUpWait > SOONEST_AGAIN) {
      catchUpWait = SOONEST_AGAIN;
      refreshQueue();
      refreshHead();
    }
    if (again) {
      again = false;
      catchUp();
    }
  }
}

async function older(button) {
  const pane = scroller();
  const response = await fetch(button.dataset.older, { headers: { "HX-Request": "true" } });
  if (!response.ok) return explain(response);
  const before = pane.scrollHeight;
  const page = place(await response.text());
  pane.scrollTop += pane.scrollHeight - before;
  const more = page.querySelector("#older");
  if (more) button.dataset.older = more.dataset.older;
  else button.remove();
}

function markRead(seq) {
  const list = $("#messages");
  if (!list) return;
  list.dataset.readSeq = seq;
  for (const item of $$(".by-agent[data-seq]", list)) {
    item.classList.toggle("is-read", item.dataset.seq !== "" && Number(item.dataset.seq) <= seq);
  }
}

let told = "";
const seen = later(async () => {
  const thread = $("#thread[data-conversation]");
  if (!thread || document.hidden) return;
  const seqs = $$("#messages > .message").map((item) => Number(item.dataset.seq) || 0);
  const seq = Math.max(0, ...seqs);
  // Notes have no seq, and calls stand in notes.
  const position = lastPosition();
  const key = `${thread.dataset.conversation}:${seq}:${position}`;
  if (!position || told === key) return;
  told = key;
  const data = new FormData();
  data.set("seq", seq);
  data.set("position", position);
  await post(thread.dataset.read, data).catch(() => (told = ""));
}, 400);

// --- composer ------------------------------------------------------------------------------------------------------

const drafts = new Map();
const unsent = new Map();

function mode() {
  return $("#composer input[name=mode]:checked")?.value || "note";
}

function dress(form) {
  const note = mode() === "note";
  form.classList.toggle("as-note", note);
  const field = $("textarea", form);
  field.placeholder = note ? field.dataset.noteWords : field.dataset.replyWords;
}

function setMode(value) {
  const choice = $(`#composer input[name=mode][value=${value}]`);
  if (!choice) return;
  choice.checked = true;
  dress($("#composer"));
  $("#words").focus();
}

function send(form) {
  const field = $("textarea", form);
  const files = $$("#files [data-id]", form);
  const text = field.value.trim();
  if ($("#files .is-busy", form)) return;
  const forward = mode() === "forward";
  const note = forward || mode() === "note";
  if (forward && !$("#forward-to").reportValidity()) return;
  const carried = note ? [] : $$(".chip[data-carried]", form);
  if (!text && !files.length && !carried.length && !forward) return void form.dispatchEvent(new Event("ahlan:empty", { bubbles: true }));
  const id = crypto.randomUUID();
  const data = new FormData();
  data.set("client_id", id);
  data.set("text", text);
  for (const file of files) data.append("attachment", file.dataset.id);
  for (const chip of carried) data.append(chip.dataset.carried, chip.dataset.value);
  const chips = [...files, ...carried];
  const detail = { id: `m-${id}`, data, note, text, chips };
  form.dispatchEvent(new CustomEvent("ahlan:sending", { bubbles: true, detail }));
  const item = $("#bubble").content.firstElementChild.cloneNode(true);
  item.id = `m-${id}`;
  item.classList.toggle("is-note", note);
  $(".text", item).textContent = text;
  $(".meta bdi", item).textContent = form.dataset.author;
  $(".pending-files", item).textContent = chips.map((chip) => chip.dataset.name).join(", ");
  $("#messages").append(item);
  unsent.set(item.id, { url: form.dataset[mode()], data });
  field.value = "";
  for (const chip of chips) chip.remove();
  drafts.delete(form.dataset.draft);
  toEnd();
  deliver(item.id);
}

async function deliver(id) {
  const { url, data } = unsent.get(id);
  const item = document.getElementById(id);
  item?.classList.remove("is-failed");
  item?.classList.add("is-pending");
  try {
    const response = await post(url, data);
    if (response.status === 409 && (await heldBack(id, response))) return;
    if (!response.ok) {
      await explain(response);
      throw new Error(String(response.status));
    }
    unsent.delete(id);
    underWay.delete(id);
    if (document.getElementById(id)) place(await response.text());
  } catch {
    const shown = document.getElementById(id);
    shown?.classList.remove("is-pending");
    shown?.classList.add("is-failed");
  }
}

async function upload(form, files) {
  for (const file of files) {
    const chip = document.createElement("span");
    chip.className = "chip is-busy";
    const name = document.createElement("bdi");
    name.textContent = `${file.name} · ${words.uploading}`;
    const drop = document.createElement("button");
    drop.type = "button";
    drop.className = "quiet";
    drop.textContent = "×";
    drop.setAttribute("aria-label", `${words.remove} ${file.name}`);
    drop.addEventListener("click", () => chip.remove());
    chip.append(name, drop);
    $("#files", form).append(chip);
    const data = new FormData();
    data.set("file", file);
    try {
      const response = await post(form.dataset.upload, data);
      if (!response.ok) {
        await explain(response);
        throw new Error(String(response.status));
      }
      const saved = await response.json();
      chip.dataset.id = saved.id;
      chip.dataset.name = saved.name;
      name.textContent = saved.name;
      chip.classList.remove("is-busy");
    } catch {
      chip.classList.remove("is-busy");
      chip.classList.add("is-bad");
      name.textContent = file.name;
    }
  }
}

let lastTyped = 0;
function typed() {
  const thread = $("#thread[data-conversation]");
  if (!thread || mode() === "note" || Date.now() - lastTyped < 3000) return;
  lastTyped = Date.now();
  post(thread.dataset.typing, new FormData()).catch(() => {});
}

// --- live ----------------------------------------------------------------------------------------------------------

const refreshQueue = later(async () => {
  const queue = $("#queue");
  if (!queue) return;
  // A morph keeps what was typed and chosen, but would shut a menu under the finger.
  if ($("details.menu[open]", queue)) return refreshQueue();
  await refresh(`${queue.dataset.refresh}&rows=${queue.dataset.rows}`, "#queue");
  markPlace();
  countPicks();
  showViews(viewsShown);
  badge();
}, 250);

// A window in the background says in its title how many conversations have something unread.
function badge() {
  const unread = $$(".row.is-unread").length;
  const plain = document.title.replace(/^\(\d+\) /, "");
  document.title = unread && document.hidden ? `(${unread}) ${plain}` : plain;
}

document.addEventListener("live:open", () => {
  // Before it nothing was heard: neither while the connection was gone, nor between the page and its stream.
  refreshQueue();
  catchUp();
  refreshHead();
});
document.addEventListener("live:queue", refreshQueue);
// Waits and clocks grow older while nothing happens.
setInterval(() => {
  if (document.hidden || !$(".waiting, .promise")) return;
  refreshQueue();
  const thread = $("#thread[data-conversation]");
  if (thread && $(".promise", thread) && !$("#thread-head").contains(document.activeElement)) refresh(thread.dataset.head, "#thread-head");
}, 60_000);
// Where an answer goes changes when the shopper comes, leaves, or leaves an address.
const refreshReach = later(() => {
  const thread = $("#thread[data-conversation]");
  if (thread) refresh(thread.dataset.reach, "#reach");
}, 400);

document.addEventListener("live:reach", refreshReach);
document.addEventListener("live:message", () => {
  hideTyping();
  catchUp();
  refreshReach();
});
const refreshHead = later(() => {
  const thread = $("#thread[data-conversation]");
  if (!thread) return;
  // A morph would shut a menu under the finger.
  if ($("#thread-head details.menu[open]")) refreshHead();
  else refresh(thread.dataset.head, "#thread-head");
}, 60);
// And one that was opened while the news was under way stays open too: they come once it is shut.
document.addEventListener("htmx:before:swap", (event) => {
  const again = { queue: refreshQueue, "thread-head": refreshHead }[event.target.id];
  if (!again || !$("details.menu[open]", event.target)) return;
  event.preventDefault();
  again();
});
// What comes above the thread takes its room: whoever sees the newest message goes on seeing it.
document.addEventListener("htmx:before:swap", (event) => {
  if (event.target.closest?.("#calls") && atEnd()) document.addEventListener("htmx:after:swap", toEnd, { once: true });
});
document.addEventListener("live:head", () => {
  if (!$("#thread[data-conversation]")) return;
  refreshHead();
  // Who took or closed it is also a line between the messages.
  catchUp();
  refreshReach();
});
document.addEventListener("live:customer", () => {
  const thread = $("#thread[data-conversation]");
  if (!thread) return;
  refresh(thread.dataset.customer, "#customer");
  refreshReach();
});
document.addEventListener("live:read", (event) => {
  const data = JSON.parse(event.detail.data || "{}");
  if (data.who !== "shopper") return;
  markRead(Number(data.seq));
  refreshReach();
});
let typingTimer = 0;
function hideTyping() {
  clearTimeout(typingTimer);
  const sign = $("#typing");
  if (sign) sign.hidden = true;
}
document.addEventListener("live:typing", () => {
  const sign = $("#typing");
  if (!sign) return;
  sign.hidden = false;
  clearTimeout(typingTimer);
  typingTimer = setTimeout(hideTyping, 6000);
});

// A proxy may hold streams back: nothing is heard then, and the same hints are fetched over a socket.
const STREAM_PATIENCE = 12_000;
let streamTimer = 0;
let socket = null;
let socketOf = "";
function watchStream() {
  const wanted = $("#live")?.getAttribute("hx-sse:connect") || "";
  if (socket && wanted !== socketOf) {
    socketOf = "";
    socket.close();
    return;
  }
  clearTimeout(streamTimer);
  if (wanted && !socket) streamTimer = setTimeout(openSocket, STREAM_PATIENCE, wanted);
}
document.addEventListener("live:open", () => clearTimeout(streamTimer));

async function openSocket(wanted) {
  const again = (after) => {
    socket = null;
    setTimeout(() => ($("#live") ? openSocket($("#live").getAttribute("hx-sse:connect")) : null), after);
  };
  try {
    const response = await post(wanted.replace(/\/live(?=\?|$)/, "/live/ticket"), new FormData());
    if (!response.ok) return;
    const { ticket } = await response.json();
    socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/live/socket?ticket=${encodeURIComponent(ticket)}`);
  } catch {
    again(STREAM_PATIENCE);
    return;
  }
  socketOf = wanted;
  socket.onmessage = ({ data }) => {
    const said = JSON.parse(data);
    // Where the stream's own would come from: blocks listen at the body.
    if (said) ($("#live") ?? document.body).dispatchEvent(new CustomEvent(said[0], { bubbles: true, detail: { data: JSON.stringify(said[1]) } }));
  };
  // The session, the admin's token or the five minutes are over: the next ticket goes through the whole door.
  socket.addEventListener("close", () => again(socketOf ? 3000 : 0));
}

// --- times that grow -----------------------------------------------------------------------------------------------

const relative = new Intl.RelativeTimeFormat(document.documentElement.lang + "-u-nu-latn", { numeric: "always" });
function grow() {
  for (const time of $$("time[data-ago]")) {
    const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
    const ago = -seconds;
    if (ago < 60 || ago > 7 * 86400) continue;
    const [size, unit] = ago < 3600 ? [60, "minute"] : ago < 86400 ? [3600, "hour"] : [86400, "day"];
    time.textContent = relative.format(Math.round(seconds / size), unit);
  }
}
setInterval(() => {
  if (document.hidden) return;
  grow();
  refreshQueue();
  refreshReach();
}, 60_000);
document.addEventListener("visibilitychange", () => {
  badge();
  if (!document.hidden) {
    refreshQueue();
    seen();
  }
});

// The panel keeps the agent's own time zone; it is named beside the day where this device keeps another one.
function elsewhere() {
  const clock = (timeZone) => new Intl.DateTimeFormat("en", { timeZone, dateStyle: "short", timeStyle: "short" }).format();
  try {
    return clock(body.dataset.zone) !== clock();
  } catch {
    return true; // a zone that this browser has never heard of
  }
}
body.classList.toggle("elsewhere", elsewhere());

// --- arriving on a page --------------------------------------------------------------------------------------------

function arrive() {
  markPlace();
  watchStream();
  const form = $("#composer");
  if (form && !form.dataset.ready) {
    form.dataset.ready = "1";
    const draft = drafts.get(form.dataset.draft);
    if (draft) $("textarea", form).value = draft;
    // What failed on an earlier visit of this conversation comes back with its retry.
    dress(form);
    toEnd();
    seen();
    for (const picture of $$("#messages img")) picture.addEventListener("load", () => atEnd() && toEnd(), { once: true });
  }
  for (const preview of $$("form[data-preview]")) showPreview(preview);
  lookAtTheme();
  // A morph keeps what was typed: a tag that is on is not asked for again.
  const tag = $("#tag");
  if (tag && !tag.form.classList.contains("htmx-request") && $$(".tag bdi").some((on) => on.textContent === tag.value.trim())) tag.value = "";
  // A morph keeps what was chosen here; once nothing is under way, what the server says is shown.
  const choice = $("#assign");
  if (choice && !choice.form.classList.contains("htmx-request")) {
    for (const option of choice.options) option.selected = option.defaultSelected;
  }
}

// --- what only the store's own admin knows and may ask ------------------------------------------------------------

// Whether the chat is switched on in the theme: Shopify tells it to the page that is open in its admin, and to nobody else.
let reported = "";
async function reportEmbed() {
  const spot = $("[data-embed-report]");
  if (!spot || !body.dataset.embedBlock || !window.shopify?.app?.extensions) return;
  const extensions = await window.shopify.app.extensions().catch(() => []);
  const blocks = extensions.filter((one) => one.type === "theme_app_extension").flatMap((one) => one.activations || []);
  const block = blocks.find((one) => one.handle === body.dataset.embedBlock);
  if (!block) return;
  const active = block.status === "active" ? "yes" : "no";
  if (active === spot.dataset.embedTold || active === reported) return;
  reported = active;
  const data = new FormData();
  data.set("active", active);
  await post(spot.dataset.embedReport, data).catch(() => (reported = ""));
}
const lookAtTheme = later(reportEmbed, 200);

// The merchant is asked by Shopify itself. Its answer is never believed from here: the server asks what it holds now.
async function askPermission(button) {
  const { ask, giveBack, then } = button.dataset;
  button.disabled = true;
  let said;
  try {
    if (giveBack) {
      await window.shopify.scopes.revoke([giveBack]);
      said = words.taken_back;
    } else {
      const { result } = await window.shopify.scopes.request([ask]);
      said = result === "granted-all" ? words.allowed : words.declined;
    }
    if (said !== words.declined) {
      const response = await post(then, new FormData());
      if (!response.ok) return await explain(response);
    }
    toast(said);
  } catch {
    toast(words.not_asked);
  } finally {
    button.disabled = false;
  }
}

document.addEventListener("htmx:after:settle", arrive);
document.addEventListener("htmx:after:history:push", markPlace);
document.addEventListener("htmx:after:history:replace", markPlace);
document.addEventListener("ahlan:renew", (event) => {
  // A whole new document: its language and direction change. Inside an admin the patch page fetches a token for it.
  location.assign(event.detail.value || event.detail);
});

// Shopify's own navigation asks with this event; answered here, the page need not be loaded anew.
document.addEventListener("shopify:navigate", (event) => {
  const path = event.target.getAttribute?.("href");
  if (!path || !path.startsWith(base)) return;
  event.preventDefault();
  htmx.ajax("GET", path, { target: "#page", swap: "innerHTML", push: "true" });
});

// --- clicks, keys --------------------------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const target = event.target.closest(
    "[data-dismiss], [data-retry], [data-older], [data-file], [data-toggle], [data-keys], [data-copy], [data-ask], [data-give-back], [data-views], [data-unpick]",
  );
  if (!target) return;
  if ("dismiss" in target.dataset) target.closest(".toast").remove();
  else if ("retry" in target.dataset) deliver(target.closest(".message").id);
  else if (target.dataset.older) older(target);
  else if (target.dataset.file) openFile(target.dataset.file);
  else if (target.dataset.toggle) {
    const shown = $("#thread").classList.toggle(`shows-${target.dataset.toggle}`);
    for (const button of $$(`[data-toggle="${target.dataset.toggle}"]`)) button.setAttribute("aria-expanded", String(shown));
  } else if ("views" in target.dataset) {
    showViews(!viewsShown);
  } else if ("unpick" in target.dataset) unpick();
  else if ("keys" in target.dataset) showKeys();
  else if (target.dataset.ask || target.dataset.giveBack) askPermission(target);
  else if ("copy" in target.dataset) {
    const field = $("[data-copy-from]", target.parentElement);
    field.select();
    await navigator.clipboard?.writeText(field.value).catch(() => document.execCommand("copy"));
    target.lastChild.textContent = words.copied;
  }
});

// A link with a minute to live is asked for at the click: downloads and pictures carry no token of their own.
async function openFile(url) {
  const response = await fetch(url, { headers: { "HX-Request": "true" } });
  if (!response.ok) return explain(response);
  const { url: link } = await response.json();
  const anchor = document.createElement("a");
  anchor.href = link;
  anchor.target = "_blank";
  anchor.rel = "noopener";
  anchor.click();
}

document.addEventListener("submit", (event) => {
  if (event.target.id !== "composer") return;
  event.preventDefault();
  send(event.target);
});
document.addEventListener("input", (event) => {
  const form = event.target.closest?.("#composer");
  if (form && event.target.name === "text") {
    drafts.set(form.dataset.draft, event.target.value);
    typed();
  }
  const preview = event.target.closest?.("form[data-preview]");
  if (preview) showPreview(preview);
});
document.addEventListener("change", (event) => {
  if (event.target.name === "mode") dress($("#composer"));
  if (event.target.closest(".row-pick")) {
    choose(event.target, event.target.checked);
    countPicks();
  }
  if ("submits" in event.target.dataset) event.target.form.requestSubmit();
  if ("attach" in event.target.dataset) {
    upload($("#composer"), [...event.target.files]);
    event.target.value = "";
  }
});

function showPreview(form) {
  const view = form.parentElement.querySelector(".preview");
  const bar = view.querySelector(".preview-bar");
  bar.dataset.plain ||= bar.textContent;
  bar.textContent = form.elements.greeting.value || bar.dataset.plain;
}

function walk(step) {
  const rows = $$(".row");
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.getAttribute("aria-current"));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
  next.scrollIntoView({ block: "nearest" });
  next.click();
}

function take() {
  const choice = $("#assign");
  if (!choice || choice.value === choice.dataset.me) return;
  choice.value = choice.dataset.me;
  choice.dispatchEvent(new Event("change", { bubbles: true }));
}

async function search() {
  if (!$("[data-search]")) await htmx.ajax("GET", `${base}/customers`, { target: "#page", swap: "innerHTML", push: "true" });
  $("[data-search]")?.focus();
}

addEventListener("online", () => catchUp());
arrive();
