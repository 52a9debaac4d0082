"use strict";
// Sorts tables by a click on the head of a column, hides lines, and opens what is folded for print.

// Numbers before texts in both directions; a text that begins with a number is one.
function compare(a, b, sign) {
  const [left, right] = [a, b].map((text) => parseFloat(text.replace("−", "-").replace("≈", "")));
  const texts = Number.isNaN(left) - Number.isNaN(right);
  return texts || sign * (left - right || a.localeCompare(b));
}

function sortBy(head) {
  const table = head.closest("table"), body = table.tBodies[0];
  const sign = head.ariaSort === "ascending" ? -1 : 1;
  const text = (row) => row.cells[head.cellIndex].textContent.trim();
  body.append(...[...body.rows].sort((a, b) => compare(text(a), text(b), sign)));
  for (const other of table.tHead.rows[0].cells) other.ariaSort = null;
  head.ariaSort = sign === 1 ? "ascending" : "descending";
}

for (const head of document.querySelectorAll("caption ~ thead th")) {
  head.tabIndex = 0;
  head.addEventListener("click", () => sortBy(head));
  head.addEventListener("keydown", (event) => { if (event.key === "Enter") sortBy(head); });
}

for (const box of document.querySelectorAll("input")) {
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(" ");
    for (const row of box.closest("details").querySelectorAll("tbody tr")) {
      row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    }
  });
}

addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details")) each.open = true;
});
