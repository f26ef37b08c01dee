// Tables sort by a click on a heading, and show their other columns on request.
document.documentElement.classList.add("script");
const key = (row, at) => row.cells[at].dataset.value ?? row.cells[at].textContent.trim();
function compare(one, other) {
  if (one === "–" || other === "–") return (one === "–") - (other === "–");
  const numbers = [Number(one), Number(other)];
  return numbers.every(Number.isFinite) ? numbers[0] - numbers[1] : one.localeCompare(other);
}
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      const missing = (row) => key(row, at) === "–";
      const rows = [...table.tBodies[0].rows].sort((a, b) =>
        missing(a) || missing(b) || !down ? compare(key(a, at), key(b, at)) : compare(key(b, at), key(a, at)));
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      table.tBodies[0].append(...rows);
    });
  });
  const place = table.closest(".scroll");
  const hidden = () => heads.some((head) => getComputedStyle(head).display === "none");
  if (!place || !table.querySelector(".rest, .second")) continue;
  const more = document.createElement("button");
  more.className = "more";
  const name = () => { more.textContent = hidden() ? "All columns" : "Fewer columns"; };
  more.addEventListener("click", () => { place.classList.toggle("all"); name(); });
  place.after(more);
  name();
}
