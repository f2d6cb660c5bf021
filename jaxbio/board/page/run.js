"use strict";
// The page of one run, or of several laid over each other.

const FIRST_CURVES = ["top1", "accuracy", "similarity", "loss", "rdm_loss", "spikes", "theta"];
const NO_CURVES = ["count", "images"]; // the same at every test, or the step once more

class RunPage {
  constructor(root, names) {
    this.asked = names;
    this.names = names; // those that are there
    this.charts = new Map(); // key of the metrics: its chart
    this.made = new Map(); // title of a part: its element
    this.bands = false;
    this.images = false;
    this.title = el("h1", {}, names.length === 1 ? names[0] : `${names.length} runs`);
    this.status = el("div");
    this.curvesBox = el("div", { class: "grid" });
    this.moreBox = el("div", { class: "grid" });
    this.more = el("details", { hidden: true }, el("summary", {}), this.moreBox);
    this.rest = el("div");
    const toggle = (field, label) => el("label", {}, el("input", { type: "checkbox",
      onchange: (e) => {
        this[field] = e.target.checked;
        if (!this.details) return;
        this.drawStatus(this.details);
        this.drawCurves();
      } }), label);
    const several = names.length > 1 ? toggle("bands", "seeds as mean and band (SD)") : null;
    [this.actions, this.offerMeasures] = runActions(names);
    this.missing = el("p", { class: "bad", role: "status" });
    this.all = el("div", { hidden: true }, this.status, this.actions, el("h2", {}, "Curves"),
      el("div", { class: "bar" }, toggle("images", "images instead of steps"), several,
        el("span", { class: "faint less" }, "drag to zoom, double-click for all; arrows, +, -, 0")),
      this.curvesBox, this.more, this.rest);
    root.replaceChildren(this.title, this.missing, this.all);
  }

  async update(table) {
    this.table = table;
    const known = new Set(table.runs.map((run) => run.name));
    const gone = this.asked.filter((name) => !known.has(name));
    this.missing.textContent = gone.map((name) => `there is no run '${name}' (any more)`).join("; ");
    if (gone.length === this.asked.length) return; // what is shown of them stays
    this.names = this.asked.filter((name) => known.has(name));
    this.all.hidden = false;
    const found = await Promise.all(this.names.map((name) =>
      Promise.all([source.run(name), source.curves(name)])));
    const details = found.map(([one]) => one);
    const curves = found.map(([, one]) => one);
    if (curves.length !== this.curves?.length || curves.some((one, i) => one !== this.curves[i])) {
      this.details = details;
      this.curves = curves;
      this.drawCurves();
    }
    this.drawStatus(details);
    this.offerMeasures(details[0].task);
    this.details = details;
    if (this.asked.length === 1) return replaceChanged(this.rest, sections(details[0], this.made));
    const shown = JSON.stringify(table.runs.filter((run) => this.names.includes(run.name)));
    if (shown === this.shown) return;
    this.shown = shown;
    this.rest.replaceChildren(...this.comparison());
  }

  drawStatus(details) {
    const groups = [...new Set(details.map((one) => one.group))];
    this.status.replaceChildren(...details.map((one, i) => {
      const row = this.table.runs.find((run) => run.name === one.name);
      const name = this.asked.length > 1 ? el("a", { href: runLink([one.name]) }, one.name) : null;
      const number = this.bands ? groups.indexOf(one.group) : i;
      const mark = name ? svg("svg", { viewBox: "0 0 10 10", class: "mark" },
        symbol({ colour: colour(number), shape: number }, 5, 5)) : null;
      const damage = one.damage.map((text) => el("p", { class: "bad" }, `DAMAGED: ${text}`));
      return el("div", { class: one.state }, mark, " ", name, " ", el("span", { class: "state" }, statusLine(row, one)), damage);
    }));
  }

  drawCurves() {
    const keys = new Map(); // "loss": ["train/loss", "test/loss"]
    for (const one of this.curves) {
      for (const name of Object.keys(one)) {
        const key = name.slice(name.indexOf("/") + 1);
        keys.set(key, new Set([...(keys.get(key) ?? []), name]));
      }
    }
    const rank = (key) => (FIRST_CURVES.includes(key) ? FIRST_CURVES.indexOf(key) : 99);
    const order = [...keys.keys()].filter((key) => !NO_CURVES.includes(key)).sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
    for (const key of order) {
      const names = [...keys.get(key)].sort().reverse(); // train before test
      const series = () => this.series(names, this.curves);
      const known = this.charts.get(key);
      if (known && known.images === this.images) {
        if (!known.chart.zoom) known.chart.update(series());
        continue;
      }
      const chart = new LineChart({ title: key.replaceAll("_", " "), series: series(),
        xLabel: this.images ? "images" : "step", ...this.chance(key), onzoom: (from, to) => this.refine(key, names, from, to) });
      this.charts.set(key, { chart, images: this.images });
    }
    const element = (key) => this.charts.get(key).chart.element;
    const known = order.filter((key) => FIRST_CURVES.includes(key));
    const first = known.length ? known : order;
    const others = order.filter((key) => !first.includes(key));
    replaceChanged(this.curvesBox, order.length ? first.map(element) : [el("p", {}, "No metrics yet.")]);
    replaceChanged(this.moreBox, others.map(element));
    this.more.hidden = !others.length;
    this.more.firstChild.textContent = `more curves (${others.length})`;
  }

  /** Fetches what lies between two places of a chart in more detail. */
  async refine(key, names, from, to) {
    const { chart } = this.charts.get(key);
    if (!chart.zoom) return chart.update(this.series(names, this.curves));
    const scale = this.scale(0);
    const [low, high] = [Math.floor(from / scale), Math.ceil(to / scale)];
    const curves = await Promise.all(this.names.map((name) => source.curves(name, low, high)));
    if (chart.zoom) chart.update(this.series(names, curves));
  }

  /** Where guessing is, of accuracies among equally many classes. */
  chance(key) {
    if (!/^top1$|accuracy$/.test(key)) return {};
    const [classes, ...others] = new Set(this.details.map((one) => one.resolved?.data?.num_classes));
    if (!classes || others.length) return {};
    return { lines: { chance: 1 / classes }, note: `dotted: chance ${score(1 / classes)}` };
  }

  scale(i) {
    return (this.images && this.details[i].images_per_step) || 1;
  }

  series(names, curves) {
    const several = this.asked.length > 1;
    if (this.bands) return this.banded(names, curves);
    return names.flatMap((name, split) => curves.map((one, i) => {
      const [steps, values] = one[name] ?? [[], []];
      const label = several ? `${this.names[i]} ${name.split("/")[0]}` : name.split("/")[0];
      return { name: label, x: steps.map((step) => step * this.scale(i)), y: values,
        colour: colour(several ? i : split), dash: dash(several ? split + 2 * Math.floor(i / COLOURS.length) : 2 * split),
        shape: several ? i : undefined, marked: name.startsWith("test/") && steps.length < 60 };
    })).filter((one) => one.x.length);
  }

  /** Mean and standard deviation over the runs of each group. */
  banded(names, curves) {
    const groups = grouped(this.details.map(({ group }, i) => ({ group, i })));
    return names.flatMap((name, split) => groups.map((group, number) => {
      const members = group.map(({ i }) => i);
      const there = members.map((i) => curves[i][name]).filter((one) => one?.[0].length);
      if (!there.length) return null;
      const last = Math.min(...there.map(([steps]) => steps.at(-1)));
      const first = Math.max(...there.map(([steps]) => steps[0]));
      const x = there[0][0].filter((step) => step >= first && step <= last);
      const at = x.map((step) => there.map((one) => interpolated(one, step)));
      const y = at.map(mean);
      const spread = at.map((values) => deviation(values) ?? 0);
      const label = `${this.names[members[0]]} ${name.split("/")[0]}`
        + (there.length > 1 ? ` (${there.length} seeds)` : "");
      return { name: label, x: x.map((step) => step * this.scale(members[0])), y,
        low: y.map((v, i) => v - spread[i]), high: y.map((v, i) => v + spread[i]),
        colour: colour(number), dash: dash(split + 2 * Math.floor(number / COLOURS.length)), shape: number };
    })).filter(Boolean);
  }

  comparison() {
    const runs = this.names.map((name) => this.table.runs.find((run) => run.name === name))
      .filter(Boolean);
    const keys = this.table.keys.filter((key) =>
      new Set(runs.map((run) => cellText(single(run), key))).size > 1);
    const differing = keys.length
      ? tableOf(["key", ...this.names], keys.map((key) => [key, ...runs.map((run) => cellText(single(run), key) || "-")]))
      : el("p", {}, "No key of the configurations differs.");
    const ids = [...new Set(runs.flatMap((run) => Object.keys(run.measures)))];
    const rows = ids.map((id) => [this.table.measures[id].title,
      ...runs.map((run) => withInterval(run.measures[id]))]);
    return [el("h2", {}, "What differs"), differing, el("h2", {}, "Scorecards"),
      rows.length ? tableOf(["measure", ...this.names], rows) : el("p", {}, "Nothing was measured yet."),
      surfaceOfRuns(this.table, runs)].filter(Boolean);
  }
}

function interpolated([steps, values], step) {
  const i = nearest(steps, step);
  const j = steps[i] < step ? i + 1 : i - 1;
  if (steps[i] === step || j < 0 || j >= steps.length) return values[i];
  return values[i] + ((step - steps[i]) / (steps[j] - steps[i])) * (values[j] - values[i]);
}

/** How far a run is, how fast, and when it will end. */
function statusLine(row, details) {
  const words = [details.state];
  if (row) {
    const per = details.images_per_step ?? 0;
    if (row.total) words.push(`step ${row.step ?? 0} of ${row.total}`);
    if (row.total && per) words.push(`${(row.step ?? 0) * per} of ${row.total * per} images`);
    if (row.speed) words.push(`${row.speed.toFixed(1)} images/s`);
    if (row.state === "running" && row.speed && per && row.total) {
      words.push(`ETA ${duration(((row.total - (row.step ?? 0)) * per) / row.speed)}`);
    }
    if (row.score) words.push(`${row.score[0]} ${score(row.score[1])}`);
    if (row.changed && row.state !== "running") words.push(`last written ${date(row.changed)}`);
  }
  return words.join(", ");
}

function withInterval(entry) {
  if (!entry) return "";
  const limits = typeof entry.low === "number" ? ` [${score(entry.low)}, ${score(entry.high)}]` : "";
  return `${score(entry.value)}${limits}${entry.synthetic ? " SYNTHETIC" : ""}`;
}
