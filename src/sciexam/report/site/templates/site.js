// The tables of the site: sorted by a column, filtered by name, one category at a time. Without it they stand whole, and
// in the order of the ranks. It reads numbers and names from attributes, and writes text alone.
"use strict";

for (const table of document.querySelectorAll("table.board")) {
  const rows = [...table.tBodies[0].rows];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if (!head.dataset.first) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, rows, head, column));
  });
}

function sort(table, rows, head, column) {
  const other = {ascending: "descending", descending: "ascending"};
  const before = head.getAttribute("aria-sort");
  const way = before ? other[before] : head.dataset.first;
  const sign = way === "ascending" ? 1 : -1;
  const of = (row) => {
    const cell = row.cells[column];
    if (cell.tagName === "TH") return row.dataset.name;
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };
  const compared = (one, two) => {
    const [a, b] = [of(one), of(two)];
    if (a === null || b === null) return (a === null) - (b === null); // what has no value stands last either way
    return sign * (typeof a === "string" ? a.localeCompare(b, "en", {numeric: true}) : a - b);
  };
  for (const each of head.parentNode.cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", way);
  table.dataset.sorted = way === head.dataset.first ? head.dataset.key : "";
  table.tBodies[0].append(...rows.slice().sort(compared)); // from the order of the ranks, so that ties keep it
}

const filter = document.querySelector("#filter");
if (filter) {
  const folded = (text) => text.normalize("NFKD").toLowerCase();
  const named = document.querySelectorAll(".standings tr[data-name]");
  const many = document.querySelectorAll(".standings")[0].querySelectorAll("tr[data-name]");
  filter.closest("p").hidden = false;
  filter.addEventListener("input", () => {
    const wanted = folded(filter.value.trim());
    for (const row of named) row.hidden = !folded(row.dataset.name).includes(wanted);
    const shown = [...many].filter((row) => !row.hidden).length;
    filter.parentNode.querySelector("[role=status]").textContent = wanted ? `${shown} of ${many.length}` : "";
  });
}

const list = document.querySelector(".tabs");
if (list) {
  const tabs = [...list.querySelectorAll("a")];
  const panels = tabs.map((tab) => document.getElementById(tab.hash.slice(1)));
  list.setAttribute("role", "tablist");
  tabs.forEach((tab, at) => {
    tab.setAttribute("role", "tab");
    tab.id = `tab-${at}`;
    tab.setAttribute("aria-controls", panels[at].id);
    panels[at].setAttribute("role", "tabpanel");
    panels[at].setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", (event) => {
      event.preventDefault();
      choose(at, true);
    });
    tab.addEventListener("keydown", (event) => {
      const ways = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1, " ": at};
      if (!(event.key in ways) || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      const next = (ways[event.key] + tabs.length) % tabs.length;
      choose(next, true);
      tabs[next].focus();
    });
  });
  const choose = (chosen, remember) => {
    tabs.forEach((tab, at) => {
      tab.setAttribute("aria-selected", String(at === chosen));
      tab.tabIndex = at === chosen ? 0 : -1;
      panels[at].hidden = at !== chosen;
    });
    if (!remember) return;
    tabs[chosen].scrollIntoView({block: "nearest", inline: "nearest", behavior: "instant"});
    history.replaceState(null, "", `#${panels[chosen].id}`);
  };
  const follow = () => {
    const target = document.getElementById(location.hash.slice(1));
    const found = target ? panels.findIndex((panel) => panel.contains(target)) : -1;
    if (found < 0) return false;
    choose(found, false);
    target.scrollIntoView();
    return true;
  };
  addEventListener("hashchange", follow);
  if (!follow()) choose(0, false);
}
