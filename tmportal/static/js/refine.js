// More like these, less like those: the votes, the bar that counts them, and the refined list they ask for.
// Votes live as long as the page: they belong to one look at one search.

import { call } from "./http.js";

export class Refining {
  // onVotes(): votes changed. load(page): shows a page of the list that `on` says; resolves to whether it could.
  constructor({ root, onVotes, load }) {
    const byId = (id) => document.getElementById(id);
    Object.assign(this, { onVotes, load, url: root.dataset.refine, most: Number(root.dataset.refineMost) });
    this.bar = byId("refine-bar");
    this.words = byId("refine-words");
    this.show = byId("refine-show");
    this.progress = byId("refine-progress");
    this.banner = byId("refined");
    this.bannerWords = byId("refined-words");
    this.said = byId("refine-said");
    this.votes = new Map(); // mark -> "like" | "unlike", in the order they were given
    this.asked = null; // the votes behind the list on the screen; null: the original order
    this.show.addEventListener("click", () => this.start());
    byId("refine-clear").addEventListener("click", () => this.#set(new Map()));
    byId("refined-back").addEventListener("click", () => this.back());
  }

  get on() {
    return this.asked !== null;
  }

  of(mark) {
    return this.votes.get(mark) ?? "";
  }

  vote(mark, kind) {
    const votes = new Map(this.votes);
    votes.delete(mark);
    if (this.of(mark) !== kind) votes.set(mark, kind);
    if (named(votes, kind).length > this.most) {
      this.said.textContent = `At most ${this.most} marks can be chosen. Take one back first.`;
      this.words.textContent = this.said.textContent;
      return;
    }
    this.#set(votes);
  }

  // A page of the refined list, in the shape of a page of results.
  fetch(page) {
    return call("POST", this.url, { json: { like: named(this.asked, "like"), unlike: named(this.asked, "unlike"), page } });
  }

  async start() {
    const before = this.asked;
    this.asked = new Map(this.votes);
    this.#busy(true);
    const shown = await this.load(1);
    this.#busy(false);
    if (!shown) this.asked = before;
    this.#paint();
    if (shown) this.said.textContent = this.bannerWords.textContent;
  }

  // Out of the refined list without loading anything, such as when the address changes.
  leave() {
    this.asked = null;
    this.#paint();
  }

  async back() {
    const before = this.asked;
    this.asked = null;
    if (!(await this.load(null))) this.asked = before;
    this.#paint();
    if (!this.on) this.said.textContent = "The original order.";
  }

  #set(votes) {
    this.votes = votes;
    this.onVotes();
    this.#paint();
    this.said.textContent = votes.size ? this.words.textContent : "No mark is liked or unliked.";
  }

  #busy(busy) {
    this.show.disabled = busy;
    this.show.textContent = busy ? "Looking…" : "Show";
    this.progress.hidden = !busy;
    this.bar.setAttribute("aria-busy", String(busy));
  }

  #paint() {
    this.words.textContent = `Refine: ${counted(this.votes, "like", "unlike")}`;
    this.bar.hidden = this.votes.size === 0 || same(this.votes, this.asked);
    this.banner.hidden = !this.on;
    if (this.on) this.bannerWords.textContent = `Refined for this search only: ${counted(this.asked, "like these", "unlike those")}.`;
  }
}

const named = (votes, kind) => [...votes].filter(([, one]) => one === kind).map(([mark]) => mark);

function counted(votes, like, unlike) {
  const [more, less] = [named(votes, "like").length, named(votes, "unlike").length];
  return [more && `${more} ${like}`, less && `${less} ${unlike}`].filter(Boolean).join(", ");
}

function same(votes, others) {
  return others !== null && votes.size === others.size && [...votes].every(([mark, kind]) => others.get(mark) === kind);
}
