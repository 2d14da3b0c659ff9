// Saves selections one by one. A change is kept (outbox.js) until the service has answered that it holds it, and tried
// again for as long as the page lives; only then is it called saved.

import { ApiError, call, takeToken } from "./http.js";

const TIMEOUT_MS = 15_000;
const PAUSES_MS = [1000, 2000, 4000, 8000, 15_000, 30_000];

export class Saver {
  // onState(mark): its state, or what the line says, is another now. onStored(mark, preselected, selected): the service
  // holds this. onRefused(sentence): what was wanted cannot be; onStored has said what holds instead.
  constructor({ outbox, urlOf, user, session, channel, onState, onStored, onRefused }) {
    Object.assign(this, { outbox, urlOf, user, session, onState, onStored, onRefused });
    this.sending = new Map(); // mark -> promise
    this.trouble = ""; // why the last try failed: "away", "logged-out", "other"; "" when it did not
    this.other = ""; // who is logged in instead
    this.known = new Map(); // mark -> {selected, change}: newer than what a page of results may say
    this.saved = new Set(); // marks of which a change was saved since the page was opened
    this.failures = 0;
    this.timer = null;
    this.channel = "BroadcastChannel" in window ? new BroadcastChannel(channel) : null;
    this.channel?.addEventListener("message", (event) => this.#heard(event.data));
    window.addEventListener("online", () => this.retry());
    window.addEventListener("offline", () => this.#probe());
    window.addEventListener("focus", () => this.retry());
    window.addEventListener("pageshow", () => this.retry());
    document.addEventListener("visibilitychange", () => document.hidden || this.retry());
  }

  get pending() {
    return this.outbox.size;
  }

  unsaved(mark) {
    return this.outbox.get(mark)?.selected;
  }

  state(mark) {
    if (!this.outbox.get(mark)) return this.saved.has(mark) ? "saved" : "";
    return this.trouble || !navigator.onLine || !this.sending.has(mark) ? "failed" : "saving";
  }

  save({ mark, name, preselected, change }, was, selected) {
    this.saved.delete(mark);
    const entry = this.outbox.get(mark) ?? { was, after: change, sent: null, preselected, name };
    if (entry.sent === null && entry.was === selected) {
      this.#settle(mark, entry, selected, entry.after); // taken back before anything was sent
    } else {
      this.outbox.put(mark, { ...entry, selected });
      this.#start(mark);
    }
    this.onState(mark);
  }

  // Everything that waits, at once. One goes first: the others follow when the service answers.
  async retry() {
    const [first, ...others] = this.outbox.marks();
    clearTimeout(this.timer);
    this.timer = null;
    if (first === undefined) {
      if (this.trouble) await this.#probe();
      return;
    }
    await this.#start(first);
    if (!this.trouble) await Promise.all(others.map((mark) => this.#start(mark)));
  }

  // Tries once more; resolves to whether the service holds everything.
  async stored() {
    this.trouble = "";
    while (this.sending.size) await Promise.all(this.sending.values());
    if (this.pending) await this.retry();
    return !this.pending;
  }

  #start(mark) {
    if (!this.sending.has(mark)) {
      const done = this.#send(mark).finally(() => {
        this.sending.delete(mark);
        this.onState(mark);
      });
      this.sending.set(mark, done);
    }
    return this.sending.get(mark);
  }

  async #send(mark) {
    let entry;
    let renewed = false;
    while ((entry = this.outbox.get(mark))) {
      // What may have arrived is asked again until it is answered: so no late copy of it undoes what comes after.
      const selected = entry.sent ?? entry.selected;
      this.outbox.put(mark, { ...entry, sent: selected });
      try {
        const json = { selected, after: entry.after };
        const answer = await call("PATCH", this.urlOf(mark), { json, timeout: TIMEOUT_MS, keepalive: true });
        if (answer.selected !== selected || !Number.isInteger(answer.change)) throw new ApiError("Not our answer.");
        this.#answered(mark, entry, answer);
      } catch (error) {
        if (!(await this.#failed(mark, entry, error, renewed))) return;
        renewed ||= error.code === "csrf";
      }
    }
  }

  #answered(mark, entry, { selected, change }) {
    this.#reached();
    const now = this.outbox.get(mark);
    if (!now || now.after !== entry.after) return; // another window has brought it further
    if (now.selected === selected) {
      this.saved.add(mark);
      this.#settle(mark, entry, selected, change);
    } else this.outbox.put(mark, { ...now, was: selected, after: change, sent: null });
  }

  #settle(mark, { preselected }, selected, change) {
    this.outbox.drop(mark);
    this.known.set(mark, { selected, change });
    this.channel?.postMessage({ mark, preselected, selected, change });
    this.onStored(mark, preselected, selected);
  }

  // Resolves to whether to go on with this mark at once.
  async #failed(mark, entry, error, renewed) {
    if (error.code === "changed_elsewhere") {
      this.#reached();
      const now = this.outbox.get(mark);
      if (!now || now.after !== entry.after) return true;
      const { selected, change } = error.fields;
      this.#settle(mark, entry, selected, change);
      if (now.selected !== selected) this.onRefused(error.message);
      return false;
    }
    if (error.status === 401) return this.#stop("logged-out");
    if (error.passing) return this.#stop("away");
    // Refused: for good, or only because it is not the same person or the same session any more?
    const trouble = await this.#session();
    if (trouble) return this.#stop(trouble);
    if (error.code === "csrf") return renewed ? this.#stop("away") : true;
    this.#reached();
    this.#settle(mark, entry, entry.was, entry.after);
    this.onRefused(error.message);
    return false;
  }

  // Who is logged in: "" when it is who made this page; the token that counts now is taken.
  async #session() {
    try {
      const { user, name, csrf } = await call("GET", this.session, { timeout: TIMEOUT_MS });
      this.other = name;
      if (user !== this.user) return "other";
      takeToken(csrf);
      return "";
    } catch (error) {
      return error.status === 401 ? "logged-out" : "away";
    }
  }

  async #probe() {
    const trouble = await this.#session();
    if (trouble) this.#stop(trouble);
    else this.#reached();
    this.onState(null);
  }

  #later(pause) {
    this.timer = setTimeout(() => this.retry(), pause);
  }

  #reached() {
    this.trouble = "";
    this.failures = 0;
  }

  #stop(trouble) {
    this.trouble = trouble;
    if (!this.timer) {
      this.#later(PAUSES_MS[Math.min(this.failures, PAUSES_MS.length - 1)]);
      this.failures += 1;
    }
    for (const mark of this.outbox.marks()) this.onState(mark);
    return false;
  }

  // Another window has put a change: it sends it too, unless that window is gone.
  adopted(mark) {
    this.onState(mark);
    if (!this.timer) this.#later(PAUSES_MS[1]);
  }

  #heard({ mark, preselected, selected, change }) {
    this.known.set(mark, { selected, change });
    if (!this.outbox.get(mark)) this.onStored(mark, preselected, selected);
    this.onState(mark);
  }
}
