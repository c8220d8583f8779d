// The storefront panel: wires the parts, holds the state, decides which screen shows.
import { Api, Refused } from "./api.js";
import { Bridge } from "./bridge.js";
import { Chat } from "./chat.js";
import { dress } from "./colour.js";
import { Composer } from "./composer.js";
import { announce, el, trapFocus } from "./dom.js";
import { home } from "./home.js";
import { Outbox } from "./outbox.js";
import { Stream } from "./stream.js";
import { Thread } from "./thread.js";
import { config, plural, t } from "./words.js";

const PAGE = 30; // messages a screenful and a bit
const QUEUE = 20e3; // how often somebody who waits is told their place
const app = document.getElementById("app");
const bridge = new Bridge();

const state = {
  screen: "home",
  visitor: null,
  thread: new Thread(),
  outbox: null,
  unread: 0,
  lost: false, // no connection
  gone: false, // the server will not have us
  saved: null, // the e-mail just given
  told: "", // what became of the last thing asked for
};

let api, stream, chat, flow, page;
const parts = {}; // by screen, once they were opened
let reading = 0;
let appeared = 0;
let typingUntil = null;

bridge.addEventListener("hello", ({ detail }) => begin(detail), { once: true });

function begin({ kept = {}, page: around = null, accent, theme, screen, back, order }) {
  flow = kept.flow;
  page = Boolean(screen);
  dress(/^#[\da-f]{6}$/i.test(accent) ? accent : config.accent, theme);
  api = new Api({ secret: kept.secret ?? null, page: around, vouch: () => bridge.identity(), opened });
  state.outbox = new Outbox({
    deliver,
    keep: (key, value) => bridge.keep(key, value),
    changed: () => draw(),
    delivered: (message) => take(message),
  });
  state.outbox.restore(kept);
  const composer = new Composer({
    api,
    send: (message) => write(message),
    keep: (draft) => bridge.keep("draft", draft),
    typing: (text) => stream.send({ type: "typing", text }) || api.post("typing", { text }).catch(() => {}),
  });
  chat = new Chat(state, composer, {
    back: () => show("home"),
    close: () => bridge.close(),
    retry: (item) => state.outbox.retry(item),
    discard: (item) => state.outbox.discard(item),
    reply: ({ id, text }) => write({ text, reply: id }),
    older,
    fresh,
    email,
    sign,
    rate,
    copy,
    looked: () => look(),
  });
  if (kept.draft) composer.restore(kept.draft);
  stream = new Stream({ api, after: () => state.thread.last, mark: () => state.thread.mark ?? "", known: () => state.thread.id ?? "", news, changed: connection });
  bridge.addEventListener("vouched", ({ detail }) => vouched(detail));
  bridge.addEventListener("visible", appear);
  bridge.addEventListener("page", ({ detail }) => (api.page = detail));
  document.addEventListener("visibilitychange", () => look());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing && !page) bridge.close();
    if (bridge.full) trapFocus(event, app);
  });
  addEventListener("online", () => state.outbox.flush());
  addEventListener("ahlan:go", lead);
  setInterval(queue, QUEUE);
  // The page around gives us the focus a moment after we appear, and the browser forgets what we had chosen.
  addEventListener("focus", () => Date.now() - appeared < 2000 && document.activeElement === document.body && settle());
  state.unread = Number(kept.unread) || 0;
  if (page) {
    document.documentElement.classList.add("page");
    new ResizeObserver(() => bridge.tell({ type: "ahlan:tall", height: app.offsetHeight })).observe(app);
    openPart(screen, back || (order && screen === "orders" && { screen: "list", given: { number: order } }));
  } else show("home");
  appear();
  connect();
}

/** Open the session, however long it takes; then listen. */
async function connect() {
  for (let tries = 0; ; tries++) {
    try {
      await api.session();
      break;
    } catch (error) {
      state.gone = error instanceof Refused && error.final;
      state.lost = !state.gone && (tries > 0 || !navigator.onLine);
      draw();
      await new Promise((resolve) => {
        setTimeout(resolve, Math.min(30e3, 1000 * 2 ** tries) * (0.5 + Math.random() / 2));
        addEventListener("online", resolve, { once: true });
      });
    }
  }
  state.gone = state.lost = false;
  draw();
  stream.start();
  state.outbox.flush();
}

/** A slow shop says only now who is signed in, or that nobody is. */
async function vouched(identity) {
  const before = state.visitor;
  if (!identity && before && !before.identified) return;
  await api.session(identity).catch(() => {});
  const known = !before?.identified && state.visitor?.identified && before?.id === state.visitor.id;
  // Who stood before the door is let in; what they have begun to type is left to them.
  const begun = !/"screen":"(list|find)"/.test(flow) || [...app.querySelectorAll("input")].some(({ value }) => value);
  if (!known || state.screen !== "orders" || begun) return;
  parts.orders = null;
  openPart("orders");
}

/** Every session the server opens or renews tells who we are and where the conversation stands. */
function opened(session) {
  const other = state.visitor && state.visitor.id !== session.visitor.id;
  state.visitor = session.visitor;
  if (other) {
    flow = parts.orders = null;
    bridge.keep("flow", null);
    if (state.screen === "orders") openPart("orders");
    state.thread.reset(); // somebody else signed in: what was on the screen and on the line is not theirs
    stream.restart();
  }
  Object.assign(config, session.config);
  if (session.secret) bridge.keep("secret", session.secret);
  if (session.conversation) {
    follow(session.conversation);
    resume(session.conversation.last_seq);
  }
  count(session.unread);
  draw();
  look();
}

/** Adopt what the server says about the conversation; another conversation starts a new page. */
function follow(conversation) {
  const { thread } = state;
  // Another one, or the same with other numbers because the shop put two together: what is here is read anew.
  const other = thread.id !== null && thread.id !== conversation.id;
  if (other) thread.reset();
  thread.id = conversation.id;
  thread.closed = conversation.closed ?? false;
  thread.status = conversation.status;
  thread.rating = conversation.rating ?? null;
  thread.seen = Math.max(thread.seen, conversation.seen_seq ?? 0);
  thread.read = Math.max(thread.read, conversation.read_seq ?? 0);
  if (!other) return;
  resume(conversation.last_seq);
  api.session().catch(() => {}); // what is written from now on goes there too
}

/** Begin at the end of what was said before: the newest page now, older ones on demand. */
function resume(last) {
  const { thread } = state;
  if (thread.last > 0 || thread.messages.size > 0 || last === 0) return;
  thread.last = last;
  thread.first = last + 1;
  older();
}

function connection() {
  state.lost = stream.state === "lost";
  if (stream.state === "open" || stream.state === "polling") {
    state.outbox.flush();
    if (state.thread.messages.size === 0 && state.thread.last > 0) older();
  }
  draw();
}

// Sending

function write({ text, attachments, reply }) {
  if (state.screen !== "chat") show("chat");
  state.outbox.add({ text, attachments, reply });
  chat.log.toEnd();
  bridge.keep("live", String(Date.now()));
}

/** By the socket when it is there, else by request; the client's id makes both the same message. */
async function deliver({ client_id, text, attachments, reply }) {
  const message = { client_id, text, attachments: attachments.map(({ id }) => id), ...(reply ? { reply } : {}) };
  const acknowledged = await stream.deliver({ type: "message", ...message });
  return acknowledged ?? (await api.post("messages", message)).message;
}

// Hearing

function news(frame) {
  switch (frame.type) {
    case "message":
      return take(frame.message);
    case "page":
      if (frame.conversation) follow(frame.conversation);
      if (typeof frame.agents === "number") config.agents = frame.agents;
      state.thread.seen = Math.max(state.thread.seen, frame.seen_seq ?? 0);
      for (const message of [...(frame.changed ?? []), ...frame.messages]) take(message, false);
      state.thread.mark = frame.mark ?? state.thread.mark;
      return draw();
    case "mark":
      state.thread.mark = frame.mark;
      return;
    case "typing":
      return typing(frame.who);
    case "read":
      if (frame.by === "shopper") {
        state.thread.read = Math.max(state.thread.read, frame.seq);
        if (frame.seq >= state.thread.last) count(0);
      } else state.thread.seen = Math.max(state.thread.seen, frame.seq);
      return draw();
    case "presence":
      Object.assign(config, { agents: frame.agents }, "back_at" in frame ? { back_at: frame.back_at } : {});
      return draw();
    case "conversation":
      follow(frame.conversation);
      return draw();
  }
}

function take(message, redraw = true) {
  const { thread, outbox } = state;
  if (message.client_id) outbox.settle(message.client_id);
  const fresh = thread.accept(message);
  const other = fresh && message.author !== "shopper" && message.author !== "system";
  if (other) {
    typing(null);
    if (message.seq > thread.read) count(state.unread + 1);
    bridge.keep("live", String(Date.now()));
  }
  if (thread.gap(message.seq)) fill();
  if (fresh && message.author !== "system") queue();
  if (redraw) draw(other ? 1 : 0);
  look();
}

let filling = false;

/** Something between is missing: the socket was only a hint, ask the table. */
async function fill() {
  if (filling) return;
  filling = true;
  try {
    for (let before = -1; state.thread.gap() && before !== state.thread.last; ) {
      before = state.thread.last;
      const { messages, conversation } = await api.get(`messages?after=${before}&wait=0&thread=${state.thread.id ?? ""}`);
      if (conversation && conversation.id !== state.thread.id) return follow(conversation);
      for (const message of messages) take(message, false);
    }
  } catch {
    setTimeout(fill, 3000);
  } finally {
    filling = false;
  }
  draw();
}

/** Load the page before the first message here. Resolves to whether it worked. */
async function older() {
  const { thread } = state;
  const { id, first } = thread;
  try {
    const { messages, mark, conversation } = await api.get(`messages?before=${first}&limit=${PAGE}&thread=${id ?? ""}`);
    if (thread.id !== id || thread.first !== first) return true;
    if (conversation && conversation.id !== id) {
      follow(conversation);
      return true;
    }
    thread.mark ??= mark;
    thread.older(messages);
    draw();
    look();
    return true;
  } catch {
    return false;
  }
}

/** A file as the server has it now: the addresses in the old copy may have run out. */
async function fresh(id) {
  const carries = ({ attachments = [], cards = [], link }) => [...attachments, ...[...cards, link].map((one) => one?.picture)].some((file) => file?.id === id);
  const message = state.thread.list().find(carries);
  if (!message) return null;
  try {
    const { messages } = await api.get(`messages?after=${message.seq - 1}&limit=1&wait=0`);
    const [found] = messages;
    return [...found.attachments, ...[...(found.cards ?? []), found.link].map((one) => one?.picture)].find((file) => file?.id === id) ?? null;
  } catch {
    return null;
  }
}

function typing(who) {
  clearTimeout(typingUntil);
  chat.log.showTyping(who);
  if (who) typingUntil = setTimeout(() => chat.log.showTyping(null), 6000);
}

/** How many are before us and about how long it takes, while we wait for a first answer and look at it. */
async function queue() {
  const said = state.thread.list();
  const waits = config.agents > 0 && said.length > 0 && said.every(({ author }) => author === "shopper" || author === "system");
  if (!waits || !bridge.open || state.screen !== "chat" || document.visibilityState !== "visible") return chat.log.showPlace(null);
  const found = await api.post("place").catch(() => null);
  chat.log.showPlace(found?.place ?? null);
}

async function sign({ seq }, chosen, on) {
  try {
    take((await api.post("sign", { seq, sign: chosen, on })).message);
  } catch (refused) {
    chat.composer.complain((refused.final && refused.message) || t("email.failed"));
  }
}

async function rate(score, comment) {
  try {
    state.thread.rating = (await api.post("rating", { score, comment })).rating;
  } catch {
    return false;
  }
  draw();
  return true;
}

async function copy() {
  try {
    state.told = t("chat.copied", { email: (await api.post("transcript")).email });
  } catch (refused) {
    state.told = (refused instanceof Refused && refused.message) || t("email.failed");
  }
  draw();
  setTimeout(() => {
    state.told = "";
    draw();
  }, 8000);
}

async function email(address) {
  await api.post("email", { email: address });
  state.saved = address;
  draw();
  chat.composer.focus();
}

// Reading

function count(unread) {
  if (unread === state.unread) return;
  if (unread > state.unread && state.screen === "home" && bridge.open) announce(plural("home.unread", unread));
  state.unread = unread;
  bridge.keep("unread", unread ? String(unread) : null);
}

/** What stands before open eyes has been read. */
function look() {
  const { thread } = state;
  if (!bridge.open || document.visibilityState !== "visible" || state.screen !== "chat" || !chat.log.atEnd) return;
  if (thread.last === 0 || thread.last <= reading) return count(0);
  const seq = (reading = thread.last);
  if (state.unread > 0 || thread.last > thread.read) {
    thread.read = seq;
    stream.send({ type: "read", seq }) || api.post("read", { seq }).catch(() => (reading = 0));
  }
  count(0);
}

// Showing

/** Orders, the help centre, the way out of a contract: parts of us that come when they are asked for, at `to` in them. */
async function openPart(screen, to) {
  show(screen);
  try {
    const part = await import(`../${screen}/main.js`);
    parts[screen] ??= await part[screen]({ api, kept: flow, keep: (text) => bridge.keep("flow", (flow = text)), name: state.visitor?.name, home: () => show("home"), chat: () => show("chat"), close: () => bridge.close(), top: () => bridge.tell({ type: "ahlan:top" }), page });
    draw();
    await (to || screen === "orders" ? parts[screen].open(to) : parts[screen].focus());
  } catch {
    failed(screen, () => openPart(screen, to));
  }
}

/** A card of ours leads to an article, or to a screen of the shopper's orders. */
function lead({ detail: { one, event } }) {
  if (!one.slug && !one.screen) return;
  event.preventDefault();
  openPart(one.slug ? "help" : "orders", one);
}

/** A part of us that did not come is asked for once more. */
function failed(screen, open) {
  if (state.screen !== screen || parts[screen]?.view.isConnected) return;
  const again = el("button", { type: "button", class: "button", on: { click: open } }, t("chat.retry"));
  app.replaceChildren(el("section", { class: "gone" }, el("p", { role: "alert" }, t("chat.offline")), again));
}

function show(screen) {
  const before = state.screen;
  state.screen = screen;
  draw();
  if (screen === "chat") chat.log.toEnd();
  look();
  if (bridge.open && before !== screen) settle();
}

function draw(arrived = 0) {
  if (!chat) return;
  if (state.screen === "chat") {
    if (app.firstElementChild !== chat.view) app.replaceChildren(chat.view);
    chat.draw(arrived);
    return;
  }
  if (state.screen !== "home") {
    const { view } = parts[state.screen] ?? {};
    if (view && app.firstElementChild !== view) app.replaceChildren(view);
    else if (!view) app.replaceChildren();
    return;
  }
  const focused = app.contains(document.activeElement) ? document.activeElement : null;
  const mark = focused?.dataset.door ?? focused?.className;
  app.replaceChildren(
    home(state, {
      chat: () => show("chat"),
      part: openPart,
      close: () => bridge.close(),
      begin: (text) => write({ text }),
    }),
  );
  if (!focused) return;
  if (focused.id === "hello") app.querySelector("#hello").focus();
  else if (focused.dataset.door) (app.querySelector(`[data-door="${mark}"]`) ?? app.querySelector(".door"))?.focus();
  else app.getElementsByClassName(mark)[0]?.focus();
}

/** Put the focus where the next thing happens. A touch keyboard comes only when it is asked for. */
function settle() {
  const touch = matchMedia("(pointer: coarse)").matches;
  if (state.screen === "chat" && !(touch && state.thread.last > 0)) return chat.composer.focus();
  (parts[state.screen] ?? app.querySelector("h1"))?.focus({ preventScroll: true });
}

function appear() {
  document.documentElement.classList.toggle("full", bridge.full);
  if (!bridge.open) return;
  appeared = Date.now();
  if (state.unread > 0 && state.screen === "home") show("chat");
  if (state.screen === "chat") chat.log.toEnd();
  settle();
  look();
}
