// How many marks are selected over all pages, and how that differs from the pre-selection.

export class Tally {
  constructor(root, place) {
    this.place = place;
    this.selected = Number(root.dataset.selected);
    this.added = Number(root.dataset.added);
    this.removed = Number(root.dataset.removed);
    this.count = Number(root.dataset.count);
  }

  moved(item, selected) {
    if (!item) return; // its page is no longer shown
    const by = selected ? 1 : -1;
    this.selected += by;
    if (item.preselected) this.removed -= by;
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
