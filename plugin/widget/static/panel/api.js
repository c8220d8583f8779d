// Calls to our server: one visitor session, renewed when it runs out.
import { config } from "./words.js";

/** The server said no, and what to do (`hint`). `status` 0: not reached. `again`: seconds to wait before trying once more. */
export class Refused extends Error {
  constructor(status, message = "", again = 0, { code = "", what_to_do: hint = "" } = {}) {
    super(message);
    Object.assign(this, { status, again, code, hint });
  }

  /** Would the very same request be refused again? */
  get final() {
    return this.status >= 400 && this.status < 500 && ![401, 408, 425, 429].includes(this.status);
  }
}

async function refusal(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {} // a proxy's page instead of our answer: its status says enough
  const error = body?.error ?? body ?? {};
  return new Refused(response.status, typeof error.message === "string" ? error.message : "", Number(response.headers.get("retry-after")) || 0, error);
}

export class Api {
  #token = null;
  #opening = null;
  #page;

  /**
   * `secret` is the visitor's long-lived proof, `vouch()` gets the shop's statement of who is signed in (null: nobody,
   * undefined: not known), `opened(session)` hears of every session.
   */
  constructor({ secret, page, vouch, opened }) {
    this.secret = secret;
    this.#page = page;
    this.vouch = vouch;
    this.opened = opened;
  }

  set page(page) {
    this.#page = page;
  }

  /** Open a session, or join the opening that is under way. `vouched`: the shop's statement, where it came by itself. */
  async session(vouched) {
    if (vouched !== undefined) await this.#opening?.catch(() => {});
    this.#opening ??= this.#open(vouched).finally(() => (this.#opening = null));
    return this.#opening;
  }

  async #open(vouched) {
    const identity = vouched === undefined ? await this.vouch() : vouched;
    const body = { store: config.store, secret: this.secret, identity, locale: config.locale, page: this.#page };
    const response = await this.#send("session", { method: "POST", json: body });
    if (!response.ok) throw await refusal(response);
    const session = await response.json();
    this.#token = session.token;
    this.secret = session.secret ?? this.secret;
    this.opened(session);
  }

  async #send(path, { json, headers = {}, wait = 15, ...options }) {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), wait * 1000);
    options.signal?.addEventListener("abort", () => stop.abort());
    try {
      return await fetch(`${config.base}/widget/${path}`, {
        ...options,
        credentials: "omit",
        cache: "no-store",
        headers: json === undefined ? headers : { ...headers, "Content-Type": "application/json" },
        body: json === undefined ? undefined : JSON.stringify(json),
        signal: stop.signal,
      });
    } catch {
      throw new Refused(0);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Call the server as this visitor and return its JSON; throws `Refused`. */
  async call(path, options = {}) {
    if (this.#token === null) await this.session();
    const once = () => this.#send(path, { ...options, headers: { Authorization: `Bearer ${this.#token}` } });
    let response = await once();
    if (response.status === 401) {
      await this.session();
      response = await once();
    }
    if (!response.ok) throw await refusal(response);
    return response.status === 204 ? null : response.json();
  }

  get(path, options) {
    return this.call(path, options);
  }

  post(path, json = {}, options = {}) {
    return this.call(path, { method: "POST", json, ...options });
  }

  /** Upload one file; `progress(share)` hears 0 to 1. Fetch cannot report progress, so this one is XMLHttpRequest. */
  async upload(file, progress, signal) {
    if (this.#token === null) await this.session();
    try {
      return await this.#upload(file, progress, signal);
    } catch (error) {
      if (error.status !== 401) throw error;
      await this.session();
      return this.#upload(file, progress, signal);
    }
  }

  #upload(file, progress, signal) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const form = new FormData();
      form.append("file", file, file.name);
      request.open("POST", `${config.base}/widget/attachments`);
      request.setRequestHeader("Authorization", `Bearer ${this.#token}`);
      request.responseType = "json";
      request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
      request.onload = () => {
        if (request.status < 300 && request.response) return resolve(request.response);
        const error = request.response?.error ?? request.response ?? {};
        reject(new Refused(request.status, error.message ?? ""));
      };
      request.onerror = () => reject(new Refused(0));
      signal.addEventListener("abort", () => request.abort());
      request.send(form);
    });
  }
}
