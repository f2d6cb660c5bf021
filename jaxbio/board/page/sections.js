"use strict";
// What a run's page shows below the curves, a function for each part; a part without data is left out.

// Title, what of a run it shows, and how.
const PARTS = [
  ["Scorecard", ["scorecard", "blanks"], scorecardPart],
  ["Confusion", ["confusion", "task"], confusionPart],
  ["Spiking network", ["files", "readouts"], spikingPart],
  ["Draw a digit", ["task"], digitPart],
  ["Grid search", ["population"], gridPart],
  ["Robustness", ["robustness"], robustnessPart],
  ["Attacks", ["attacks"], attacksPart],
  ["Similarity", ["similarity"], similarityPart],
  ["Physiology", ["physiology"], physiologyPart],
  ["Behaviour", ["behaviour"], behaviourPart],
  ["Accuracy over time", ["time"], timePart],
  ["Figures and reports", ["files"], filesPart],
  ["Results", ["results", "resolved"], resultsPart],
  ["Configuration", ["config"], configPart],
];

const OF_SPIKING = ["report/weights.png", "report/votes.png", "report/competition.png"];

/**
 * The parts of a run. `made` remembers them: what has not changed is the same element, so that what
 * people have drawn, turned or opened stays while a run trains.
 */
function sections(run, made) {
  return PARTS.flatMap(([title, fields, part]) => {
    const key = JSON.stringify(fields.map((field) => run[field]));
    if (made.get(title)?.key !== key) {
      const content = [part(run)].flat().filter(Boolean);
      const elements = content.length ? [el("section", {}, el("h2", {}, title), content)] : [];
      made.set(title, { key, elements });
    }
    return made.get(title).elements;
  });
}

function scorecardPart(run) {
  const rows = run.scorecard.map((entry) => [
    entry.section, entry.title + (entry.synthetic ? " (SYNTHETIC recordings)" : ""), score(entry.value),
    typeof entry.low === "number" ? `${score(entry.low)} to ${score(entry.high)}` : "unknown",
    entry.interval, entry.chance === null ? "" : score(entry.chance),
    entry.ceiling ? limitsText(entry.ceiling) : "",
    date(entry.date), entry.step ?? "", el("span", { class: "faint" }, entry.note)]);
  for (const [section, command] of run.blanks) {
    const fill = command ? el("code", {}, command) : el("span", { class: "faint" }, "needs a network with layers");
    rows.push([section, el("span", { class: "faint" }, "not measured"), "", "", "", "", "", "", "", fill]);
  }
  return tableOf(["section", "measure", "value", "95 % interval", "of", "chance", "ceiling",
    "measured", "step", "note, or the command that fills it"], rows, { id: "scorecard" });
}

function spikingPart(run) {
  if (run.task !== "stdp") return null;
  const parts = [];
  for (const name of OF_SPIKING) {
    const file = run.files.find((one) => one.name === name);
    if (file) parts.push(pictureOf(run, file, name === OF_SPIKING[0] ? "weights from X to Y" : name.slice(7, -4)));
  }
  const readouts = run.readouts ?? [];
  const rows = readouts.map((one) => ({ name: one.name, value: one.accuracy,
    low: one.accuracy - 1.96 * one.error, high: one.accuracy + 1.96 * one.error }));
  if (rows.length) parts.push(dotPlot("accuracy by readout", rows,
    { chance: run.scorecard[0]?.chance, interval: run.scorecard[0]?.interval }));
  const shown = readouts.filter((one) => one.confusion);
  return [el("div", { class: "grid" }, parts), shown.length ? confusionChoice(shown) : null];
}

/** Confusion matrices of several readouts, one at a time. */
function confusionChoice(readouts) {
  const box = el("div");
  const show = (one) => {
    const columns = [...one.labels, ...(one.confusion[0].length > one.labels.length ? ["none"] : [])];
    box.replaceChildren(heatMap(`confusion, ${one.name}`, one.labels, columns, one.confusion, {
      format: short, corner: "true \\ said", shares: rowShares(one.confusion) }));
  };
  const select = el("select", { "aria-label": "readout", onchange: () =>
    show(readouts[select.selectedIndex]) }, readouts.map((one) => el("option", {}, one.name)));
  show(readouts[0]);
  return el("div", {}, el("label", {}, "confusion of the readout ", select), box);
}

function gridPart(run) {
  const grid = run.population;
  if (!grid || !grid.keys.length) return null;
  const rows = grid.points.map((point) => [...point.at.map(short), point.values.length,
    meanAndDeviation(point.values)]);
  return [surfaceOf(grid.keys, grid.points.map((p) => ({ at: p.at, value: mean(p.values) })), grid.readout),
    tableOf([...grid.keys, "seeds", `${grid.readout} (mean ± SD)`], rows)];
}

function robustnessPart(run) {
  return run.robustness?.map((one) => {
    const means = one.values.map((row) => mean(row.filter((v) => v !== null)));
    const values = one.values.map((row, i) => [...row, means[i]]);
    const title = `${one.title.replaceAll("_", " ")}: top-1 by kind and severity (clean ${score(one.clean)}, `
      + `chance ${score(one.chance)}, ${one.images} images a cell: 95 % intervals ± ${score(one.within)} or less)`;
    return heatMap(title, one.rows.map((kind) => kind.replaceAll("_", " ")),
      [...one.columns.map((s) => `severity ${s}`), "mean"], values, { shares: values });
  });
}

function attacksPart(run) {
  if (!run.attacks?.length) return null;
  const warnings = [...new Set(run.attacks.flatMap((one) => one.warnings))];
  return [...warnings.map((text) => el("p", { class: "warning" }, text)),
    el("div", { class: "grid" }, run.attacks.map((one) => new LineChart({
      title: `top-1 under ${one.title}`, xLabel: "epsilon, of images in [0, 1]",
      note: `band: 95 % interval (Wilson)${one.images === null ? "" : `, ${one.images} images`}; dotted: chance ${score(one.chance)}`, lines: { chance: one.chance },
      series: [{ name: "accuracy", x: one.radii, y: one.values, marked: true, colour: COLOURS[0],
        low: one.intervals.map((i) => i[0]), high: one.intervals.map((i) => i[1]) }] }).element))];
}

function similarityPart(run) {
  return run.similarity?.map((one) => {
    const title = one.title + (one.synthetic ? " (SYNTHETIC recordings: say nothing of a brain)" : "");
    const ceiling = one.ceiling ? `, ceiling ${limitsText(one.ceiling)}` : ", ceiling unknown";
    if (one.columns.length > 1) {
      // Shades are shares of the ceiling: differences among low scores are not to look like much.
      const top = Math.max(one.ceiling?.[1] ?? 0, ...one.values.flat());
      return heatMap(`${title}${ceiling}`, one.rows, one.columns, one.values, { corner: "layer",
        intervals: one.intervals, shares: one.values.map((row) => row.map((v) => (v === null ? null : v / top))),
        note: `columns: time steps of the network; below the scores: 95 % intervals; shades: 0 to ${score(top)}`
          + (one.ceiling ? ", the ceiling" : ", the highest score") });
    }
    return dotPlot(title + ceiling, one.rows.map((name, i) => ({ name, value: one.values[i][0],
      low: one.intervals[i][0]?.[0], high: one.intervals[i][0]?.[1] })), { ceiling: one.ceiling });
  });
}

function physiologyPart(run) {
  return run.physiology?.flatMap((one) => {
    const scored = one.rows.filter((row) => row.score);
    const plot = scored.length ? dotPlot(`${one.title}: similarity to macaque V1 over its ceiling`,
      scored.map(({ name, score: s }) => ({ name, value: s.score,
        low: s.score - (1.96 * s.error) / s.ceiling, high: s.score + (1.96 * s.error) / s.ceiling })),
      { ceiling: [1, 1], interval: "normal, bootstrap over units" }) : null;
    const rows = one.rows.map((row) => [row.name, row.units, `${short(row.median)} ${row.unit}`,
      row.score ? score(row.score.score) : "", row.score ? score(row.score.p) : ""]);
    return [plot, el("details", {}, el("summary", {}, `${one.title}: all properties`),
      tableOf(["property", "units recorded", "median", "score", "p"], rows))];
  });
}

function behaviourPart(run) {
  return run.behaviour?.flatMap((one) => {
    const keys = [...new Set(Object.values(one.conditions).flatMap(Object.keys))].filter((k) => k !== "intervals");
    const shown = (cell, key) => {
      const ends = cell.intervals?.[key];
      return ends ? `${score(cell[key])} (${score(ends[0])} to ${score(ends[1])})` : score(cell[key]);
    };
    const rows = Object.entries(one.conditions).map(([name, cell]) => [name, ...keys.map((k) => shown(cell, k))]);
    const shares = one.confusion;
    // Rows are answers or categories, whichever the measure wrote first; both carry their names.
    const columns = one.labels.slice(0, shares[0]?.length);
    return [el("h3", {}, one.title), tableOf(["condition", ...keys.map((k) => k.replaceAll("_", " "))], rows),
      Object.values(one.conditions).some((cell) => cell.intervals)
        ? el("p", {}, "in brackets: 95 % intervals, bootstrap of the images") : null,
      heatMap("shares of answers", one.labels.slice(0, shares.length), columns, shares)];
  });
}

function timePart(run) {
  return run.time?.map((one) => new LineChart({ title: `top-1 after each time step, ${one.count} images`,
    xLabel: "time step", note: `band: 95 % interval (Wilson)${one.chance === null ? "" : `; dotted: chance ${score(one.chance)}`}`,
    lines: { chance: one.chance },
    series: [{ name: "top-1", x: one.values.map((_, i) => i), y: one.values, colour: COLOURS[0], marked: true,
      low: one.intervals.map((i) => i[0]), high: one.intervals.map((i) => i[1]) }] }).element);
}

function filesPart(run) {
  const pictures = run.files.filter((file) => file.name.endsWith(".png")
    && !(run.task === "stdp" && OF_SPIKING.includes(file.name)));
  const pages = run.files.filter((file) => file.name.endsWith(".html"));
  return [
    pages.length ? el("p", {}, pages.map((file) => [el("a", { href: source.file(run.name, file),
      target: "_blank", rel: "noopener" }, file.name), " "])) : null,
    pictures.length ? el("div", { class: "grid" }, pictures.map((file) => pictureOf(run, file, file.name))) : null,
  ];
}

function pictureOf(run, file, caption) {
  const address = source.file(run.name, file);
  return el("figure", {}, el("figcaption", {}, caption), el("a", { href: address, target: "_blank", rel: "noopener" },
    el("img", { src: address, alt: caption, loading: "lazy" })));
}

function resultsPart(run) {
  const rows = Object.entries(run.results).map(([key, value]) =>
    [key, typeof value === "object" ? JSON.stringify(value) : short(value)]);
  const facts = Object.entries(run.resolved).map(([key, value]) =>
    [key, el("code", {}, typeof value === "object" ? JSON.stringify(value) : String(value))]);
  return [rows.length ? tableOf(["result", "value"], rows) : el("p", {}, "Not finished: no results yet."),
    facts.length ? el("details", {}, el("summary", {}, "what the configuration was resolved to"),
      longTable(["fact", "value"], facts)) : null];
}

function configPart(run) {
  if (!run.config?.length) return null;
  const line = (row) => [row.key, el("code", {}, row.value), el("code", {}, row.base), row.meaning];
  const head = ["key", "value", "default", "meaning"];
  const changed = run.config.filter((row) => row.value !== row.base);
  const same = run.config.filter((row) => row.value === row.base);
  return [el("h3", {}, `Other than the task's defaults (${changed.length})`),
    longTable(head, changed.map(line)),
    el("details", {}, el("summary", {}, `at their defaults (${same.length})`), longTable(head, same.map(line)))];
}

/** A table whose last cells are texts that may take several lines. */
function longTable(head, rows) {
  const table = tableOf(head, rows);
  for (const row of table.querySelectorAll("tbody tr")) row.lastChild.className = "long";
  return table;
}
