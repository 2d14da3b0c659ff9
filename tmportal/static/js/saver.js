// Saves selections one by one: shown at once, sent at once, tried again when the connection or the service is away.

import { call } from "./http.js";

const PAUSES_MS = [800, 2500, 6000];

export class Saver {
  // onState(mark, "saving" | "saved" | "failed"); onRefused(mark, what the service still holds, sentence)
  constructor({ urlOf, place, onState, onRefused }) {
    Object.assign(this, { urlOf, place, onState, onRefused });
    this.wanted = new Map(); // mark -> the last word that is not saved yet
    this.busy = new Map(); // mark -> promise of the sending
    this.failed = new Set();
  }

  get pending() {
    return this.wanted.size > 0;
  }

  unsaved(mark) {
    return this.wanted.get(mark);
  }

  save(mark, selected) {
    this.wanted.set(mark, selected);
    this.failed.delete(mark);
    this.onState(mark, "saving");
    this.show();
    if (!this.busy.has(mark)) {
      this.busy.set(
        mark,
        this.#send(mark).finally(() => {
          this.busy.delete(mark);
          this.show();
        }),
      );
    }
  }

  retry() {
    for (const mark of [...this.failed]) this.save(mark, this.wanted.get(mark));
  }

  // Resolves when nothing is on its way: true if everything is saved.
  async settled() {
    while (this.busy.size) await Promise.all(this.busy.values());
    return !this.pending;
  }

  async #send(mark) {
    let tries = 0;
    while (this.wanted.has(mark)) {
      const selected = this.wanted.get(mark);
      try {
        await call("PATCH", this.urlOf(mark), { json: { selected } });
      } catch (error) {
        if (error.passing && tries < PAUSES_MS.length) {
          await new Promise((resolve) => setTimeout(resolve, PAUSES_MS[tries]));
          tries += 1;
          continue;
        }
        if (error.passing || error.status === 401) {
          this.failed.add(mark);
          this.onState(mark, "failed");
        } else {
          this.wanted.delete(mark);
          this.onState(mark, "");
          this.onRefused(mark, !selected, error.message);
        }
        return;
      }
      // Toggled again meanwhile: the newer word is sent next.
      if (this.wanted.get(mark) === selected) {
        this.wanted.delete(mark);
        this.onState(mark, "saved");
      }
    }
  }

  show() {
    this.place.className = "saved";
    if (this.failed.size) {
      this.place.classList.add("failed");
      const again = document.createElement("button");
      again.type = "button";
      again.className = "small danger";
      again.textContent = "Try again";
      again.addEventListener("click", () => this.retry());
      this.place.replaceChildren(`${this.failed.size} ${this.failed.size === 1 ? "change is" : "changes are"} not saved. `, again);
    } else if (this.busy.size) {
      this.place.textContent = "Saving…";
    } else {
      this.place.classList.add("ok");
      this.place.textContent = "✓ Saved";
    }
  }
}
