// Words, colours and bars of the descriptors.

export const read = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "{}");

const words = read("descriptor-words");
export const weights = read("weights");
export const niceTitles = read("nice-titles");

export const wordOf = (name) => words[name] ?? name;

export function percent(value, digits = 0) {
  return value === null || value === undefined ? "–" : `${value.toFixed(digits)} %`;
}

// <span class="track"><i></i></span>: the filled share of a likeness of 0 to 100.
export function track(name, value) {
  const bar = document.createElement("span");
  bar.className = "track";
  bar.dataset.descriptor = name;
  const fill = document.createElement("i");
  fill.style.width = `${Math.min(100, Math.max(0, value ?? 0))}%`;
  bar.append(fill);
  return bar;
}
