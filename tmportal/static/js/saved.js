// The one line that says whether the service holds every change, and what can be done when it does not.

import { Outbox } from "./outbox.js";
import { Saver } from "./saver.js";

// What saves the changes of the page of one search, with its line: {saver, waiting() -> [[mark, entry], ...]}.
// onState(mark, state), onStored, onRefused: as of a Saver. onOther(mark, entry): another window has put this.
export function savingOf(root, { onState, onStored, onRefused, onOther }) {
  const { user, userName, session, login, results, search } = root.dataset;
  const outbox = new Outbox({
    user,
    search,
    onOther(mark, entry) {
      if (entry) onOther(mark, entry);
      if (entry) saver.adopted(mark);
      else tell(mark);
    },
  });
  const saver = new Saver({
    outbox, user, session, onStored, onRefused,
    channel: outbox.prefix,
    urlOf: (mark) => `${results}${encodeURIComponent(mark)}/`,
    onState: tell,
  });
  const line = new SavedLine({ place: document.getElementById("saved"), saver, outbox, login, userName });

  function tell(mark) {
    if (mark) onState(mark, saver.state(mark));
    line.show();
  }

  // Kept or not: what the service does not hold is in no report yet.
  window.addEventListener("beforeunload", (event) => {
    if (saver.pending && !line.leaving) event.preventDefault();
  });
  return { saver, waiting: () => outbox.marks().map((mark) => [mark, outbox.get(mark)]) };
}

class SavedLine {
  constructor({ place, saver, outbox, login, userName }) {
    Object.assign(this, { place, saver, outbox, login, userName });
    this.leaving = false; // on the way to the login: the changes are kept, nobody need be warned
  }

  show() {
    const { saver, outbox } = this;
    const count = saver.pending;
    const away = !navigator.onLine && (count || saver.trouble);
    const bad = Boolean(away || saver.trouble);
    this.place.className = `saved ${bad ? "failed" : count ? "" : "ok"}`;
    if (!bad) return this.#say(count ? "Saving…" : saver.known.size ? "✓ Saved" : "");
    const waits = `${count} ${count === 1 ? "change is" : "changes are"} not saved yet`;
    const kept = outbox.kept ? "" : " Keep this page open.";
    if (saver.trouble === "logged-out") {
      return this.#say(count ? `You are logged out: ${waits}.${kept}` : "You are logged out.", this.#login());
    }
    if (saver.trouble === "other") {
      const who = `${saver.other} is logged in in this browser now`;
      return this.#say(`${who}${count ? `: ${waits}. Log in as ${this.userName} to save.` : "."}${kept}`, this.#login());
    }
    const why = away ? "Offline" : "The service does not answer";
    if (!count) return this.#say(`${why}. Everything so far is saved.`);
    return this.#say(`${why}: ${waits}.${kept}`, this.#again());
  }

  #say(words, ...more) {
    // A live region is read aloud on every change, so only real changes are written.
    const key = [words, ...more.map((one) => one.textContent)].join("|");
    if (this.said === key) return;
    this.said = key;
    this.place.replaceChildren(words && more.length ? `${words} ` : words, ...more);
  }

  #again() {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "small danger";
    button.textContent = "Try again";
    button.addEventListener("click", () => this.saver.retry());
    return button;
  }

  #login() {
    const link = document.createElement("a");
    link.className = "button small danger";
    link.href = this.login;
    link.textContent = "Log in";
    link.addEventListener("click", () => {
      this.leaving = this.outbox.kept;
    });
    return link;
  }
}
