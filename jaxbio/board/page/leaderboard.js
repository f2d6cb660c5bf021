"use strict";
// Models by measures, with intervals, chance and ceilings; two measures against each other.

const NAMED_POINTS = 12;

class Leaderboard {
  constructor(root) {
    this.hidden = new Set();
    this.folded = true;
    this.filter = el("input", { type: "search", placeholder: "filter runs", "aria-label": "filter runs",
      oninput: () => this.draw() });
    const fold = el("input", { type: "checkbox", checked: true, onchange: (e) => {
      this.folded = e.target.checked;
      this.draw();
    } });
    this.choice = el("details", {}, el("summary", {}, "measures"));
    this.box = el("div");
    this.x = el("select", { "aria-label": "measure along x", onchange: () => this.drawScatter() });
    this.y = el("select", { "aria-label": "measure along y", onchange: () => this.drawScatter() });
    this.scatterBox = el("div");
    const save = (suffix, kind, text) => el("button", { onclick: () =>
      download(`leaderboard.${suffix}`, text(this.columns, this.rows, this.table.measures), kind) }, suffix.toUpperCase());
    root.replaceChildren(el("h1", {}, "Leaderboard"),
      el("div", { class: "bar" }, this.filter, el("label", {}, fold, "fold seeds (mean ± SD)"),
        save("csv", "text/csv", asCsv), save("tex", "text/x-tex", asLatex),
        el("button", { onclick: () => print() }, "Print, PDF")),
      this.choice, this.box, el("h2", {}, "Two measures against each other"),
      el("div", { class: "bar" }, el("label", {}, "x", this.x), el("label", {}, "y", this.y)), this.scatterBox);
  }

  update(table) {
    if (table === this.table) return;
    this.table = table;
    const ids = Object.keys(table.measures);
    this.choice.replaceChildren(el("summary", {}, `measures (${ids.length})`), el("div", { class: "bar" },
      ids.map((id) => el("label", {}, el("input", { type: "checkbox", checked: !this.hidden.has(id),
        onchange: (e) => {
          this.hidden[e.target.checked ? "delete" : "add"](id);
          this.draw();
        } }), table.measures[id].title))));
    this.draw();
  }

  draw() {
    const { measures, runs } = this.table;
    this.columns = Object.keys(measures).filter((id) => !this.hidden.has(id));
    const wanted = runs.filter(matcher(this.filter.value)).filter((run) => this.columns.some((id) => run.measures[id]));
    this.rows = (this.folded ? grouped(wanted) : wanted.map((run) => [run])).map((members) => ({
      names: members.map((run) => run.name), model: members[0].model,
      cells: Object.fromEntries(this.columns.map((id) => [id, joined(members.map((run) => run.measures[id]).filter(Boolean))])),
    }));
    if (!this.rows.length) {
      this.box.replaceChildren(el("p", {}, "Nothing was measured yet: jaxbio evaluate RUN measures."));
    } else {
      const best = Object.fromEntries(this.columns.map((id) =>
        [id, bestOf(this.rows.map((row) => row.cells[id]?.value).filter((v) => v !== undefined))]));
      const head = ["run", "model", ...this.columns.map((id) => el("span", {}, measures[id].title,
        el("div", { class: "faint" }, limitsOf(this.rows, id))))];
      this.box.replaceChildren(tableOf(head, this.rows.map((row) => [
        el("a", { href: runLink(row.names) }, titleOf(row)), row.model,
        ...this.columns.map((id) => {
          const text = cellOf(row.cells[id]);
          return row.cells[id]?.value === best[id] ? el("strong", {}, text) : text;
        })]), { id: "leaderboard" }));
    }
    this.drawChoices();
    this.drawScatter();
  }

  drawChoices() {
    const has = (id) => this.rows.filter((row) => row.cells[id] && row.cells[this.x.value]).length;
    for (const select of [this.x, this.y]) {
      const others = this.columns.filter((id) => select === this.x || id !== this.x.value);
      const now = select.value || others.reduce((best, id) => (has(id) > has(best) ? id : best), others[0]);
      select.replaceChildren(...this.columns.map((id) => el("option", { value: id, selected: id === now },
        this.table.measures[id].title)));
    }
  }

  drawScatter() {
    const [x, y] = [this.x.value, this.y.value];
    const rows = this.rows.filter((row) => row.cells[x] && row.cells[y]);
    if (rows.length < 2) {
      this.scatterBox.replaceChildren(el("p", {}, "Fewer than two models have both measures."));
      return;
    }
    this.scatterBox.replaceChildren(scatter(rows, x, y, this.table.measures));
  }
}

/** The largest of several; nothing is the best of one. */
function bestOf(values) {
  return values.length > 1 ? Math.max(...values) : null;
}

function titleOf(row) {
  return row.names.length === 1 ? row.names[0] : `${row.names[0]} and ${row.names.length - 1} more`;
}

/** One entry of several seeds: their mean, and mean ± SD as its limits. */
function joined(entries) {
  if (!entries.length) return null;
  if (entries.length === 1) return entries[0];
  const values = entries.map((entry) => entry.value);
  const [middle, spread] = [mean(values), deviation(values)];
  return { ...entries[0], value: middle, low: middle - spread, high: middle + spread, spread,
    seeds: entries.length, synthetic: entries.some((entry) => entry.synthetic) };
}

function cellOf(entry) {
  if (!entry) return "";
  if (!entry.seeds) return withInterval(entry);
  return `${score(entry.value)} ± ${score(entry.spread)} (${entry.seeds})${entry.synthetic ? " SYNTHETIC" : ""}`;
}

/** Chance and ceiling of a measure, as far as they are the same for all rows. */
function limitsOf(rows, id) {
  const entries = rows.map((row) => row.cells[id]).filter(Boolean);
  const words = [];
  const chances = new Set(entries.map((entry) => entry.chance).filter((v) => v !== null));
  if (chances.size === 1) words.push(`chance ${score([...chances][0])}`);
  const ceilings = new Set(entries.map((e) => e.ceiling && limitsText(e.ceiling, "–")).filter(Boolean));
  if (ceilings.size === 1) words.push(`ceiling ${[...ceilings][0]}`);
  return words.join(", ");
}

function scatter(rows, x, y, measures) {
  const points = rows.map((row) => [row.cells[x], row.cells[y]]);
  const [xs, ys] = [0, 1].map((axis) => points.map((pair) => pair[axis].value));
  const limits = (axis) => {
    const [low, high] = extent(points.flatMap((pair) =>
      [pair[axis].value, pair[axis].low, pair[axis].high].filter((v) => typeof v === "number")));
    return [low - 0.05 * (high - low), high + 0.05 * (high - low)];
  };
  const size = { width: Math.min(560, CHART.width + 80), height: 360, left: 58, right: 16, top: 12, bottom: 34 };
  const axes = frame(limits(0), limits(1), measures[x].title, size);
  const tip = el("div", { class: "tip", "aria-live": "polite" });
  const marks = rows.flatMap((row, i) => {
    const [a, b] = points[i];
    const bars = [];
    if (typeof a.low === "number") bars.push([axes.x(a.low), axes.x(a.high), axes.y(b.value), axes.y(b.value)]);
    if (typeof b.low === "number") bars.push([axes.x(a.value), axes.x(a.value), axes.y(b.low), axes.y(b.high)]);
    const text = `${titleOf(row)} (${row.model}): ${cellOf(a)}; ${cellOf(b)}`;
    const say = () => { tip.textContent = text; };
    return [...bars.map(([x1, x2, y1, y2]) => svg("line", { x1, x2, y1, y2, stroke: COLOURS[0], opacity: 0.7 })),
      svg("circle", { cx: axes.x(a.value), cy: axes.y(b.value), r: 5, fill: COLOURS[0], tabindex: 0,
        role: "img", "aria-label": text, onpointerenter: say, onfocus: say }, svg("title", {}, text))];
  });
  // Names beside the points as long as these are few: a printed page has nothing to hover over.
  const names = rows.length > NAMED_POINTS ? [] : rows.map((row, i) => {
    const [across, down] = [axes.x(xs[i]), axes.y(ys[i])];
    const right = across > size.width / 2;
    return svg("text", { x: across + (right ? -8 : 8), y: down - 8, "text-anchor": right ? "end" : "start" }, titleOf(row));
  });
  const up = svg("text", { x: 14, y: size.height / 2, "text-anchor": "middle",
    transform: `rotate(-90 14 ${size.height / 2})` }, measures[y].title);
  const title = `${measures[y].title} against ${measures[x].title}`;
  const note = "bars: 95 % intervals, of several seeds mean ± SD";
  const picture = svg("svg", { viewBox: `0 0 ${size.width} ${size.height}`, role: "group", "aria-label": title },
    axes.parts, up, marks, names);
  picture.style.maxWidth = "44rem";
  const synthetic = points.some((pair) => pair.some((entry) => entry.synthetic));
  return el("div", {}, el("p", { id: "correlation" }, correlationText(xs, ys)
    + (synthetic ? " SYNTHETIC recordings: says nothing of a brain." : "")), picture, tip,
  el("p", { class: "faint" }, note), el("button", { onclick: () => downloadSvg(title, picture, [], note) }, "SVG"));
}

function correlationText(xs, ys) {
  const found = spearman(xs, ys);
  if (!Number.isFinite(found)) return `Spearman's ρ is not defined: one measure does not vary (${xs.length} models).`;
  if (xs.length < 5) return `Spearman's ρ = ${found.toFixed(3)} of ${xs.length} models: too few for an interval.`;
  const [low, high] = spearmanInterval(xs, ys);
  return `Spearman's ρ = ${found.toFixed(3)}, 95 % bootstrap interval ${low.toFixed(3)} to ${high.toFixed(3)}, `
    + `${xs.length} models.`;
}

function asCsv(columns, rows, measures) {
  const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const kind = (entry) => (entry.seeds ? "mean ± SD" : typeof entry.low === "number" ? "95 % interval" : "");
  const numbers = (entry) => (entry ? [entry.value, entry.low ?? "", entry.high ?? "", kind(entry), entry.seeds ?? 1,
    entry.synthetic ? "SYNTHETIC" : ""] : Array(6).fill(""));
  const head = ["run", "model", ...columns.flatMap((id) =>
    ["", " low", " high", " limits", " seeds", " recordings"].map((s) => measures[id].title + s))];
  const lines = rows.map((row) => [titleOf(row), row.model, ...columns.flatMap((id) => numbers(row.cells[id]))]);
  return [head, ...lines].map((line) => line.map((v) => quoted(String(v))).join(",")).join("\n") + "\n";
}

function asLatex(columns, rows, measures) {
  const safe = (text) => text.replace(/\\/g, "\\textbackslash ").replace(/[#$%&_{}]/g, "\\$&").replace(/[~^]/g, "\\$&{}");
  const cell = (entry) => {
    if (!entry) return "--";
    const mark = entry.synthetic ? "\\textsuperscript{synthetic}" : "";
    if (entry.seeds) return `$${score(entry.value)} \\pm ${score(entry.spread)}$${mark}`;
    const limits = typeof entry.low === "number" ? `\\,[${score(entry.low)}, ${score(entry.high)}]` : "";
    return `$${score(entry.value)}${limits}$${mark}`;
  };
  const line = (cells) => `${cells.join(" & ")} \\\\`;
  const head = line(["run", "model", ...columns.map((id) => safe(measures[id].title))]);
  const limits = line(["", "", ...columns.map((id) => safe(limitsOf(rows, id)).replace("–", "--"))]);
  return [`\\begin{tabular}{ll${"r".repeat(columns.length)}}`, "\\hline", head, limits, "\\hline",
    ...rows.map((row) => line([safe(titleOf(row)), safe(row.model), ...columns.map((id) => cell(row.cells[id]))])),
    "\\hline", "\\end{tabular}", ""].join("\n");
}
