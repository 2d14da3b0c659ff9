// Choosing the query image: by dialog, by drop, by paste. Calls onChange(file or null).

const KINDS = /^image\//;

export function dropzone({ root, input, ask, preview, image, name, change, onChange }) {
  let address = null;

  function show(file) {
    if (address) URL.revokeObjectURL(address);
    address = file ? URL.createObjectURL(file) : null;
    ask.hidden = Boolean(file);
    preview.hidden = !file;
    root.classList.toggle("filled", Boolean(file));
    if (file) {
      image.src = address;
      name.textContent = `${file.name || "Pasted image"} · ${size(file.size)}`;
    } else {
      image.removeAttribute("src");
    }
    onChange(file);
  }

  // The input itself holds the file whichever way it came, so the form stays a plain form.
  function take(file) {
    const carrier = new DataTransfer();
    carrier.items.add(file);
    input.files = carrier.files;
    show(file);
  }

  input.addEventListener("change", () => input.files.length && show(input.files[0]));
  change.addEventListener("click", () => input.click());

  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      root.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) root.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    root.classList.remove("over");
    const file = event.dataTransfer.files[0];
    if (!file) return;
    event.preventDefault();
    take(file);
  });
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((one) => KINDS.test(one.type));
    if (!file) return;
    event.preventDefault();
    take(file);
  });
  // After "back" the browser may have kept the file in the input.
  if (input.files.length) show(input.files[0]);
  return { file: () => input.files[0] ?? null };
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  if (bytes < 1024 * 1024) return `${Math.round(bytes / 1024)} KB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
