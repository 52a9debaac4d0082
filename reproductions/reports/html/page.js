"use strict";
// Sorts tables by a click on the head of a column, and opens what is folded for printing.

function valueOf(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  const number = text === "" ? NaN : Number(text);
  return { text, number, empty: text === "" || text === "–" };
}

// Empty cells come last in both directions; numbers before texts.
function compare(a, b, sign) {
  if (a.empty || b.empty) return a.empty - b.empty;
  const numbers = !Number.isNaN(a.number) && !Number.isNaN(b.number);
  const order = numbers ? a.number - b.number : a.text.localeCompare(b.text, "en", { numeric: true });
  return sign * order;
}

function sortBy(table, head) {
  const descending = head.getAttribute("aria-sort") === "ascending";
  const column = head.cellIndex;
  const body = table.tBodies[0];
  const keyed = [...body.rows].map((row) => [valueOf(row, column), row]);
  keyed.sort((left, right) => compare(left[0], right[0], descending ? -1 : 1));
  body.append(...keyed.map((pair) => pair[1]));
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  const order = descending ? "descending" : "ascending";
  head.setAttribute("aria-sort", order);
  document.getElementById("said").textContent =
    `${table.caption.textContent}: sorted by ${head.textContent}, ${order}`;
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const head of table.tHead.querySelectorAll("th")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.dataset.title = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => sortBy(table, head));
  }
}

const folded = document.querySelectorAll("details.long");
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...folded].filter((each) => !each.open);
  for (const each of closed) each.open = true;
});
addEventListener("afterprint", () => {
  for (const each of closed) each.open = false;
});
