// How many marks are selected over all pages, and how that differs from the pre-selection.

export class Tally {
  // changes: mark -> [selected, number of the change], of every mark whose selection was ever changed.
  constructor(root, place, changes) {
    this.place = place;
    this.selected = Number(root.dataset.selected);
    this.added = Number(root.dataset.added);
    this.removed = Number(root.dataset.removed);
    this.count = Number(root.dataset.count);
    this.state = new Map(Object.entries(changes).map(([mark, [selected]]) => [mark, selected]));
  }

  // Saying the same twice changes nothing.
  set(mark, preselected, selected) {
    if ((this.state.get(mark) ?? preselected) === selected) return;
    this.state.set(mark, selected);
    const by = selected ? 1 : -1;
    this.selected += by;
    if (preselected) this.removed -= by;
    else this.added += by;
    this.show();
  }

  show() {
    const strong = document.createElement("strong");
    strong.textContent = `${this.selected} selected`;
    const changes = [this.added && `${this.added} added`, this.removed && `${this.removed} removed`].filter(Boolean);
    const rest = document.createElement("span");
    rest.textContent = ` of ${this.count}${changes.length ? ` · ${changes.join(", ")}` : ""}`;
    this.place.replaceChildren(strong, rest);
  }
}
