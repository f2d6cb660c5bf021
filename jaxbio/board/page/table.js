"use strict";
// The table of runs: filter, sort, group, fold seeds, choose runs to lay over each other.

const FIRST_ROWS = 60; // more than a screen holds
const FIXED = ["name", "state", "task", "model", "data", "step", "score"];

class RunTable {
  constructor(root) {
    this.sort = { by: "name", down: false };
    this.chosen = new Set();
    this.folded = false;
    this.made = new Map(); // name: row of the page, and what it shows
    this.most = FIRST_ROWS; // rows to draw; all of them once these are painted
    this.filter = el("input", { type: "search", placeholder: "filter: words, key=value, score>0.9",
      "aria-label": "filter", oninput: () => this.draw() });
    this.group = el("select", { "aria-label": "group by", onchange: () => this.draw() });
    const fold = el("input", { type: "checkbox", onchange: (e) => {
      this.folded = e.target.checked;
      this.draw();
    } });
    this.open = el("button", { disabled: true, onclick: () => this.openChosen() }, "Open chosen");
    this.count = el("span", { class: "faint", role: "status" });
    this.head = el("thead");
    this.body = el("tbody", { onkeydown: (e) => this.key(e) });
    root.replaceChildren(
      el("div", { class: "bar" }, this.filter, el("label", {}, "group by", this.group),
        el("label", {}, fold, "fold seeds"), this.open, this.count),
      el("div", { class: "wide" }, el("table", { id: "runs" }, this.head, this.body)));
  }

  update(table) {
    if (table === this.table) return;
    this.table = table;
    const common = mostCommon(table);
    if (JSON.stringify(common) !== JSON.stringify(this.common)) this.made.clear();
    this.common = common;
    const now = this.group.value;
    const names = ["", "state", "task", "model", "data", ...table.keys];
    this.group.replaceChildren(...names.map((name) =>
      el("option", { value: name, selected: name === now }, name || "nothing")));
    this.draw();
  }

  draw() {
    if (!this.table) return;
    const wanted = matcher(this.filter.value);
    const found = this.table.runs.filter(wanted);
    const rows = sorted(this.folded ? foldSeeds(found) : found.map(single), this.sort);
    const columns = [...FIXED, ...this.table.keys];
    this.drawHead(columns);
    const by = this.group.value;
    const children = [];
    let last;
    if (by) rows.sort((a, b) => compare(cellValue(a, by), cellValue(b, by)));
    for (const row of rows.slice(0, this.most)) {
      const value = by ? cellText(row, by) : undefined;
      if (by && value !== last) {
        children.push(el("tr", { class: "group" },
          el("th", { colspan: columns.length + 3, scope: "colgroup" }, `${by}: ${value || "-"}`)));
        last = value;
      }
      children.push(this.row(row));
    }
    replaceChanged(this.body, children);
    const all = this.table.runs.length;
    this.count.textContent = `${found.length} of ${all} runs`
      + (this.table.reading ? "; reading metrics ..." : "");
    this.showChosen();
    if (rows.length > this.most) {
      this.most = Infinity;
      setTimeout(() => this.draw(), 50); // after the first ones are on the screen
    }
  }

  drawHead(columns) {
    const key = JSON.stringify([columns, this.sort]);
    if (this.headKey === key) return;
    this.headKey = key;
    this.made.clear();
    const title = (name) => {
      const mine = this.sort.by === name;
      const order = mine ? (this.sort.down ? "descending" : "ascending") : null;
      const arrow = mine ? (this.sort.down ? " ▼" : " ▲") : "";
      const turn = () => {
        this.sort = { by: name, down: mine && !this.sort.down };
        this.draw();
      };
      return el("th", { "aria-sort": order, scope: "col" }, el("button", { onclick: turn }, name + arrow));
    };
    this.head.replaceChildren(el("tr", {}, el("th", { scope: "col" }, ""), FIXED.map(title),
      el("th", { scope: "col" }, "course"), title("changed"), this.table.keys.map(title)));
  }

  /** The row of the page; the same element as long as it would show the same. */
  row(row) {
    const key = JSON.stringify(row);
    const known = this.made.get(row.name);
    if (known?.key === key) return known.element;
    const choose = el("input", { type: "checkbox", "aria-label": `choose ${row.name}`,
      checked: row.names.every((name) => this.chosen.has(name)), onchange: (e) => {
        for (const name of row.names) this.chosen[e.target.checked ? "add" : "delete"](name);
        this.showChosen();
      } });
    const cells = (of) => of.map((name) => this.cell(row, name));
    const element = el("tr", { class: row.state }, el("td", {}, choose), cells(FIXED),
      el("td", {}, sparkline(row.spark)), el("td", { class: "faint" }, date(row.changed)),
      cells(this.table.keys));
    this.made.set(row.name, { key, element });
    return element;
  }

  cell(row, name) {
    if (name === "name") {
      const damage = row.damage.length ? el("div", { class: "bad" }, row.damage.join("; ")) : null;
      return el("td", {}, el("a", { href: runLink(row.names) }, row.title), damage);
    }
    if (name === "state") return el("td", { class: "state" }, row.state);
    if (name === "step" && row.total && row.state !== "finished") {
      const text = `${row.step ?? 0} of ${row.total}`;
      return el("td", {}, el("progress", { value: row.step ?? 0, max: row.total, "aria-label": text }), ` ${text}`);
    }
    const text = cellText(row, name);
    const differs = text && name in this.common && text !== this.common[name];
    return el("td", { class: differs ? "differs" : null }, text);
  }

  showChosen() {
    for (const name of [...this.chosen]) {
      if (!this.table.runs.some((run) => run.name === name)) this.chosen.delete(name);
    }
    this.open.disabled = !this.chosen.size;
    this.open.textContent = this.chosen.size ? `Open ${this.chosen.size} chosen` : "Open chosen";
  }

  openChosen() {
    location.hash = runLink([...this.chosen]);
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const links = [...this.body.querySelectorAll("a")];
    const here = links.indexOf(event.target.closest("tr")?.querySelector("a"));
    links[Math.max(0, Math.min(links.length - 1, here + step))]?.focus();
    event.preventDefault();
  }
}

function single(run) {
  return { ...run, names: [run.name], title: run.name, scores: run.score ? [run.score[1]] : [] };
}

/** Lists of the runs that differ in their seed only. */
function grouped(runs) {
  const groups = new Map();
  for (const run of runs) groups.set(run.group, [...(groups.get(run.group) ?? []), run]);
  return [...groups.values()];
}

/** Runs that differ in their seed only as one row: mean and standard deviation. */
function foldSeeds(runs) {
  return grouped(runs).map((members) => {
    if (members.length === 1) return single(members[0]);
    const states = new Set(members.map((run) => run.state));
    const keys = { ...members[0].keys };
    for (const key of Object.keys(keys)) {
      if (members.some((run) => String(run.keys[key]) !== String(keys[key]))) delete keys[key];
    }
    return { ...members[0], keys, names: members.map((run) => run.name),
      title: `${members[0].name} and ${members.length - 1} more`,
      state: states.size === 1 ? members[0].state : "mixed",
      damage: members.flatMap((run) => run.damage),
      scores: members.filter((run) => run.score).map((run) => run.score[1]),
      changed: Math.max(...members.map((run) => run.changed)) };
  });
}

function cellValue(row, name) {
  if (name === "score") return row.scores.length ? mean(row.scores) : null;
  if (name in row.keys) return row.keys[name];
  return row[name] ?? null;
}

function cellText(row, name) {
  if (name === "score") {
    return row.scores.length ? `${row.score?.[0] ?? ""} ${meanAndDeviation(row.scores)}`.trim() : "";
  }
  const value = cellValue(row, name);
  return Array.isArray(value) ? value.join(", ") : short(value);
}

/** Numbers by size, words by letters, what is missing last. */
function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

function sorted(rows, { by, down }) {
  const value = new Map(rows.map((row) => [row, cellValue(row, by)]));
  return rows.sort((a, b) => {
    const [x, y] = [value.get(a), value.get(b)];
    if (x === null || y === null) return compare(x, y);
    return down ? compare(y, x) : compare(x, y);
  });
}

/** Whether a run has every word of a filter; `key=value` and `score>0.9` look at values. */
function matcher(text) {
  const tests = text.trim().split(/\s+/).filter(Boolean).map((word) => {
    const parts = word.match(/^([\w.]+)(=|<|>)(.+)$/);
    if (!parts) {
      const wanted = word.toLowerCase();
      return (run) => [run.name, run.state, run.task, run.model, run.data]
        .some((value) => value.toLowerCase().includes(wanted));
    }
    const [, key, sign, value] = parts;
    return (run) => {
      const row = single(run);
      const found = cellValue(row, key);
      if (sign === "=") return cellText(row, key).toLowerCase() === value.toLowerCase();
      if (typeof found !== "number") return false;
      return sign === "<" ? found < Number(value) : found > Number(value);
    };
  });
  return (run) => tests.every((test) => test(run));
}

/** The most frequent value of each key that differs, as the table shows it. */
function mostCommon(table) {
  const common = {};
  for (const key of table.keys) {
    const counts = new Map();
    for (const run of table.runs) {
      const text = key in run.keys ? cellText(single(run), key) : "";
      if (text) counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    common[key] = [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
  }
  return common;
}
