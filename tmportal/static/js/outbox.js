// Changes that the service has not stored yet, kept in this browser: a reload, a crash or the end of a session loses
// none. One entry for each mark, shared by all windows that one person has open on one search.

const ALL = "tmportal.unsaved/";

export class Outbox {
  // onOther(mark, entry or null): another window put or dropped an entry.
  constructor({ user, search, onOther }) {
    this.prefix = `${ALL}${user}/${search}/`;
    this.memory = new Map(); // where the browser keeps nothing for pages, this one still knows
    this.kept = true;
    window.addEventListener("storage", (event) => {
      if (event.key?.startsWith(this.prefix)) onOther(event.key.slice(this.prefix.length), parse(event.newValue));
    });
  }

  get size() {
    return this.marks().length;
  }

  marks() {
    const kept = this.#keys().filter((key) => key.startsWith(this.prefix));
    return [...new Set([...kept.map((key) => key.slice(this.prefix.length)), ...this.memory.keys()])];
  }

  // {selected, was, after, sent, preselected, name}: what is wanted; what the service holds as far as is known, and
  // the number of that change; what may have reached it without an answer, or null.
  get(mark) {
    if (this.memory.has(mark)) return this.memory.get(mark);
    try {
      return parse(localStorage.getItem(this.prefix + mark));
    } catch {
      return null;
    }
  }

  put(mark, entry) {
    try {
      localStorage.setItem(this.prefix + mark, JSON.stringify(entry));
      this.memory.delete(mark);
    } catch {
      this.memory.set(mark, entry);
    }
    this.kept = this.memory.size === 0;
  }

  drop(mark) {
    this.memory.delete(mark);
    this.kept = this.memory.size === 0;
    try {
      localStorage.removeItem(this.prefix + mark);
    } catch {
      // Nothing was kept there.
    }
  }

  #keys() {
    try {
      return Object.keys(localStorage);
    } catch {
      return [];
    }
  }
}

// Search -> how many changes of this person wait for it.
export function waiting(user) {
  const counts = new Map();
  try {
    for (const key of Object.keys(localStorage)) {
      const [, owner, search] = key.startsWith(ALL) ? key.split("/") : [];
      if (owner === user) counts.set(search, (counts.get(search) ?? 0) + 1);
    }
  } catch {
    // The browser keeps nothing for pages.
  }
  return counts;
}

function parse(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}
