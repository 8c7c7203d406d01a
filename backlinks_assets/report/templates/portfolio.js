// Sorting and filters of the page of all targets. Without it the page is whole, and in the order of states.
(() => {
  const table = document.querySelector(".all-targets"), body = table.tBodies[0];
  const rows = [...body.rows], first = new Map(rows.map((row, at) => [row, at]));
  const form = document.querySelector(".controls"), said = form.querySelector("output");
  const words = new Map();
  const key = (row, column, numbers) => {
    const cell = row.cells[column], text = (cell.querySelector("bdi") ?? cell).textContent.trim();
    if (text === "" || text === "–") return null;
    return numbers ? Number(text.replace(/[,+±]/g, "").replace("−", "-")) : text.toLowerCase();
  };
  const show = () => {
    const wanted = form.words.value.trim().toLowerCase().split(/\s+/), state = form.state.value;
    const group = form.group && form.group.selectedIndex ? form.group.value : null;
    let count = 0;
    for (const row of rows) {
      if (!words.has(row)) words.set(row, row.textContent.toLowerCase());
      const fits = (!state || row.dataset.s === state) && (group === null || row.dataset.g === group)
        && wanted.every(word => words.get(row).includes(word));
      row.hidden = !fits;
      count += fits;
    }
    said.textContent = `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")} targets`;
  };
  const sort = (button, column) => {
    const head = button.closest("th"), numbers = head.dataset.kind === "number";
    const next = head.ariaSort === "none" ? (numbers ? "descending" : "ascending")
      : head.ariaSort === "descending" ? "ascending" : "descending";
    for (const other of table.tHead.querySelectorAll("th[aria-sort]")) other.ariaSort = "none";
    head.ariaSort = next;
    const keys = new Map(rows.map(row => [row, column === 1 ? first.get(row) : key(row, column, numbers)]));
    const way = next === "ascending" ? 1 : -1;
    rows.sort((a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (x === null || y === null) return (x === null) - (y === null) || first.get(a) - first.get(b);
      return x === y ? first.get(a) - first.get(b) : way * (x < y ? -1 : 1);
    });
    body.append(...rows);
  };
  for (const head of table.tHead.querySelectorAll("th[data-column]")) {
    const button = document.createElement("button"), name = head.dataset.name;
    button.type = "button";
    button.append(...head.childNodes);
    if (name) button.setAttribute("aria-label", name);
    head.append(button);
    head.ariaSort = "none";
    button.addEventListener("click", () => sort(button, Number(head.dataset.column)));
  }
  form.addEventListener("input", show);
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(show));
  form.hidden = false;
  show();
})();
