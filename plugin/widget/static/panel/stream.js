// News from the server while the page is open: a socket that resumes, or long polling where sockets do not get through.
// The socket is a hint; the numbered messages behind `after` are the truth.
import { config } from "./words.js";

const BEAT = 25e3; // a ping this often keeps proxies from closing a quiet socket
const PATIENCE = 8e3; // and this long without an answer means that it is dead
const REST = 5 * 60e3; // a tab nobody looks at lets go of its socket after this long

export class Stream {
  /** "connecting", "open" (socket), "polling" or "lost" */
  state = "connecting";
  #api;
  #after;
  #mark;
  #known;
  #news;
  #changed;
  #socket = null;
  #wake = null;
  #poll = null;
  #pulse = null;
  #doubt = null;
  #acks = new Map();
  #asleep = false;
  #doze = null;

  /** `after()` gives the last seq that is here, `mark()` the last change, `known()` whose they are; `news(frame)` takes server frames; `changed()` hears of the state. */
  constructor({ api, after, mark, known, news, changed }) {
    this.#api = api;
    this.#after = after;
    this.#mark = mark;
    this.#known = known;
    this.#news = news;
    this.#changed = changed;
  }

  start() {
    addEventListener("online", () => this.#rouse());
    addEventListener("offline", () => this.#let("lost"));
    addEventListener("pageshow", (event) => event.persisted && this.#rouse());
    addEventListener("pagehide", () => this.#drop());
    document.addEventListener("visibilitychange", () => this.#watch());
    let tick = Date.now();
    setInterval(() => {
      if (Date.now() - tick > 20e3) this.#rouse(); // the machine slept
      tick = Date.now();
    }, 5e3);
    this.#run();
  }

  /** Let go of the line and take a new one, as whoever we are now. */
  restart() {
    this.#drop();
    this.#wake?.();
  }

  /** A frame over the socket, if there is one. */
  send(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Deliver a message over the socket; resolves to the server's copy, or null when the socket could not. */
  deliver(frame) {
    if (!this.send(frame)) return Promise.resolve(null);
    return new Promise((resolve) => {
      const done = (message) => {
        clearTimeout(timer);
        this.#acks.delete(frame.client_id);
        resolve(message);
      };
      const timer = setTimeout(() => {
        this.#drop(); // sent into a dead line
        done(null);
      }, PATIENCE);
      this.#acks.set(frame.client_id, done);
    });
  }

  #let(state) {
    if (state === "lost") this.#drop();
    if (this.state === state) return;
    this.state = state;
    this.#changed();
  }

  #drop() {
    this.#socket?.close();
    this.#poll?.abort();
  }

  /** Something woke up: doubt the line, and do not sit out a pause. */
  #rouse() {
    this.#asleep = false;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#ping(4e3);
    this.#wake?.();
  }

  #watch() {
    clearTimeout(this.#doze);
    if (document.visibilityState === "visible") return this.#rouse();
    this.#doze = setTimeout(() => {
      this.#asleep = true;
      this.#drop();
    }, REST);
  }

  #pause(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #run() {
    let refused = 0; // sockets in a row that never opened although the server answered
    let failures = 0; // attempts of any kind in a row that failed
    let again = 0; // when to give sockets another chance
    for (;;) {
      if (this.#asleep) await this.#pause(2 ** 31 - 1);
      const began = Date.now();
      let held = null;
      if (refused < 3 || began >= again) {
        held = await this.#listen();
        if (held === "open") refused = 0;
        if (held === "refused" && ++refused >= 3) again = Date.now() + 60e3;
      }
      if (refused >= 3 && (await this.#ask())) {
        failures = 0;
        continue;
      }
      failures = held === "open" && Date.now() - began > 5e3 ? 0 : failures + 1;
      this.#let(failures > 2 || !navigator.onLine ? "lost" : "connecting");
      // Jitter: a restarted server is not stormed by everyone at once.
      await this.#pause(Math.min(30e3, 500 * 2 ** Math.min(failures, 6)) * (0.3 + Math.random() * 0.7));
    }
  }

  /** Hold a socket until it closes. "open" when it had opened, "refused" when it never did, null without a ticket. */
  async #listen() {
    let ticket;
    try {
      ({ ticket } = await this.#api.post("ticket"));
    } catch {
      return null;
    }
    const url = `${location.origin.replace(/^http/, "ws")}${config.base}/widget/socket?ticket=${encodeURIComponent(ticket)}&${this.#place()}`;
    return new Promise((resolve) => {
      let held = "refused";
      const socket = new WebSocket(url);
      const slow = setTimeout(() => socket.close(), PATIENCE);
      this.#socket = socket;
      socket.onopen = () => {
        held = "open";
        clearTimeout(slow);
        this.#pulse = setInterval(() => this.#ping(PATIENCE), BEAT);
        this.#let("open");
      };
      socket.onmessage = ({ data }) => {
        clearTimeout(this.#doubt);
        this.#hear(JSON.parse(data));
      };
      const over = () => {
        clearTimeout(slow);
        clearInterval(this.#pulse);
        clearTimeout(this.#doubt);
        socket.onclose = socket.onmessage = socket.onopen = null;
        if (this.#socket === socket) this.#socket = null;
        for (const done of [...this.#acks.values()]) done(null);
        resolve(held);
      };
      socket.onclose = over;
      // A line that is gone takes minutes to say goodbye: do not wait for it.
      const close = socket.close.bind(socket);
      socket.close = () => {
        close();
        over();
      };
    });
  }

  #place() {
    return `after=${this.#after()}&mark=${encodeURIComponent(this.#mark())}&thread=${encodeURIComponent(this.#known())}`;
  }

  #ping(patience) {
    if (!this.send({ type: "ping" })) return;
    clearTimeout(this.#doubt);
    this.#doubt = setTimeout(() => this.#drop(), patience);
  }

  #hear(frame) {
    if (frame.type === "ack") this.#acks.get(frame.client_id)?.(frame.message);
    else if (frame.type === "error") this.#acks.get(frame.client_id)?.(null); // the same over HTTP says why
    else if (frame.type !== "pong") this.#news(frame);
  }

  /** One long poll. True when the server answered. */
  async #ask() {
    this.#poll = new AbortController();
    try {
      const wait = this.state === "polling" ? 25 : 0;
      const answer = await this.#api.get(`messages?${this.#place()}&wait=${wait}`, { signal: this.#poll.signal, wait: 40 });
      this.#let("polling");
      this.#news({ type: "page", ...answer });
      return true;
    } catch {
      return false;
    } finally {
      this.#poll = null;
    }
  }
}
