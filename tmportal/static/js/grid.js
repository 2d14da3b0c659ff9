// The grid of results: cards, one of them reachable by tab, the others by arrow keys.

import { percent, track, weights, wordOf } from "./bars.js";
import { drawBox } from "./boxes.js";
import { voteButtons } from "./votes.js";

const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};

// Where the mark stood before it came into a refined list.
const before = (item) => (item.rank_before ? `was #${item.rank_before}` : item.refined ? "by refining" : "");

export class Grid {
  constructor({ root, query, mayChange, onToggle, onOpen, onVote, voteOf, stateOf }) {
    Object.assign(this, { root, query, mayChange, onToggle, onOpen, onVote, voteOf, stateOf });
    this.items = [];
    this.cards = [];
    this.current = 0;
  }

  fill(items) {
    this.items = items;
    this.cards = items.map((item, index) => this.#card(item, index));
    this.current = 0;
    this.root.replaceChildren(...this.cards.map((card) => card.node));
    this.#rove(0);
    for (const { mark } of items) if (this.stateOf(mark) !== "saved") this.saveState(mark, this.stateOf(mark));
  }

  item(mark) {
    return this.items.find((one) => one.mark === mark);
  }

  set(mark, selected) {
    const index = this.items.findIndex((one) => one.mark === mark);
    if (index < 0) return;
    this.items[index].selected = selected;
    this.cards[index].paint();
  }

  paintVotes() {
    this.items.forEach((item, index) => this.cards[index].votes?.paint(this.voteOf(item.mark)));
  }

  saveState(mark, state) {
    const index = this.items.findIndex((one) => one.mark === mark);
    if (index < 0) return;
    this.cards[index].node.dataset.save = state;
    this.cards[index].saved.textContent = { saving: "saving…", saved: "saved", failed: "not saved yet" }[state] ?? "";
  }

  focus(index) {
    const to = Math.max(0, Math.min(this.items.length - 1, index));
    this.#rove(to);
    this.cards[to]?.button.focus();
  }

  // Arrow keys: the number of columns is what the layout made of it.
  move(key) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.#columns(), ArrowDown: this.#columns() }[key];
    const to = this.current + step;
    if (to >= 0 && to < this.items.length) this.focus(to);
  }

  holdsFocus() {
    return this.root.contains(document.activeElement);
  }

  #columns() {
    const top = this.cards[0]?.node.offsetTop;
    const columns = this.cards.findIndex((card) => card.node.offsetTop !== top);
    return columns < 0 ? this.cards.length : columns;
  }

  #rove(index) {
    if (this.cards[this.current]) this.cards[this.current].button.tabIndex = -1;
    this.current = index;
    if (this.cards[index]) this.cards[index].button.tabIndex = 0;
  }

  #card(item, index) {
    const node = make("li", "card");
    node.dataset.mark = item.mark;
    const button = make("button", "card-face");
    button.type = "button";
    button.tabIndex = -1;

    const tile = make("span", "tile");
    const image = make("img");
    image.src = item.thumbnail;
    image.alt = "";
    image.loading = index < 12 ? "eager" : "lazy";
    image.decoding = "async";
    const boxes = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    boxes.setAttribute("class", "boxes");
    boxes.setAttribute("aria-hidden", "true");
    const tick = make("span", "tick", "✓");
    tick.setAttribute("aria-hidden", "true");
    tile.append(image, boxes, tick);

    const head = make("span", "card-head");
    head.append(make("span", "card-name", item.name || item.mark), make("strong", "score", percent(item.score)));
    const facts = make("span", "card-facts");
    const nice = item.nice.length ? `cl. ${item.nice.join(", ")}` : null;
    facts.textContent = [item.jurisdiction, nice, item.mark_status].filter(Boolean).join(" · ");
    const bars = make("span", "bars");
    bars.setAttribute("aria-hidden", "true"); // read aloud for every card they would drown the name; the comparison has them
    for (const [name, value] of Object.entries(item.similarities)) {
      if (!(weights[name] > 0)) continue; // it has no say in the score; the comparison shows it all the same
      const line = make("span", "bar-line");
      line.append(make("span", "bar-word", wordOf(name)), track(name, value), make("span", "bar-value", value === null ? "–" : Math.round(value)));
      bars.append(line);
    }
    const foot = make("span", "card-foot");
    const rank = make("span", "rank", `#${item.rank}`);
    const was = make("span", "rank", before(item));
    was.hidden = !was.textContent;
    const marker = make("span", "marker");
    const saved = make("span", "card-saved");
    foot.append(rank, was, marker, saved);
    button.append(tile, head, facts, bars, foot);

    const open = make("button", "card-open", "⤢");
    open.type = "button";
    open.tabIndex = -1;
    open.title = "Compare side by side (Enter)";
    open.setAttribute("aria-label", `Compare ${item.name || item.mark} with the query`);
    node.append(button, open);
    const votes = this.mayChange ? voteButtons(item.name || item.mark, (kind) => this.onVote(item, kind)) : null;
    if (votes) node.append(votes.node);
    votes?.paint(this.voteOf(item.mark));

    const paint = () => {
      node.classList.toggle("selected", item.selected);
      const kind = item.preselected ? (item.selected ? "preselected" : "removed") : item.selected ? "added" : "";
      node.dataset.kind = kind;
      marker.className = `marker badge ${{ preselected: "info", removed: "bad", added: "good" }[kind] ?? ""}`;
      marker.textContent = { preselected: "pre-selected", removed: "− removed", added: "+ added" }[kind] ?? "";
      marker.hidden = !kind;
      if (this.mayChange) button.setAttribute("aria-pressed", String(item.selected));
    };
    const show = () => {
      drawBox(boxes, item.boxes?.[1], item.size);
      this.showQueryBox(item);
    };
    const hide = () => {
      drawBox(boxes, null);
      this.showQueryBox(null);
    };
    node.addEventListener("pointerenter", show);
    node.addEventListener("pointerleave", hide);
    button.addEventListener("focus", () => {
      this.#rove(index);
      show();
    });
    button.addEventListener("blur", hide);
    button.addEventListener("click", () => (this.mayChange ? this.onToggle(item) : this.onOpen(item)));
    open.addEventListener("click", () => this.onOpen(item));
    paint();
    return { node, button, saved, paint, votes };
  }

  showQueryBox(item) {
    const svg = this.query;
    const size = svg.getAttribute("viewBox").split(" ").slice(2).map(Number);
    drawBox(svg, item?.boxes?.[0], size);
  }
}
