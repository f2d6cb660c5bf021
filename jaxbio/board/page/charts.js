"use strict";
// Drawings in SVG: curves that zoom, intervals beside ceilings, maps of numbers, sparklines.

// On narrow screens as wide as these, so that its letters keep their size.
const CHART = { width: Math.max(300, Math.min(480, innerWidth - 20)), height: 250, left: 58, right: 12,
  top: 10, bottom: 30 };
const SYMBOLS = 6; // of a line
const WHOLE = ["step", "images", "time step"]; // there is nothing between two of them

/** About `count` round numbers that cover a range, at least `least` apart. */
function ticks(low, high, count = 5, least = 0) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(least, [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough));
  const found = [];
  for (let t = Math.ceil(low / step); t * step <= high * (1 + 1e-12); t++) found.push(t * step);
  return found;
}

/** [low, high] of finite numbers, never empty and never of zero width. */
function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return [0, 1];
  const room = Math.abs(low) / 10 || 0.5;
  return low === high ? [low - room, high + room] : [low, high];
}

/** Axes and the way from numbers to places. */
function frame(xRange, yRange, xLabel, size = CHART) {
  const [w, h] = [size.width - size.left - size.right, size.height - size.top - size.bottom];
  const x = (v) => size.left + ((v - xRange[0]) / (xRange[1] - xRange[0])) * w;
  const y = (v) => size.height - size.bottom - ((v - yRange[0]) / (yRange[1] - yRange[0])) * h;
  const bottom = size.height - size.bottom;
  const parts = ticks(...yRange).map((t) => [
    svg("line", { class: "grid-line", x1: size.left, x2: size.width - size.right, y1: y(t), y2: y(t) }),
    svg("text", { x: size.left - 5, y: y(t) + 4, "text-anchor": "end" }, short(t)),
  ]).flat();
  parts.push(...ticks(...xRange, 5, WHOLE.includes(xLabel) ? 1 : 0).map((t) =>
    svg("text", { x: x(t), y: bottom + 14, "text-anchor": "middle" }, short(t))));
  parts.push(svg("path", { class: "axis", d: `M${size.left} ${size.top}V${bottom}H${size.width - size.right}` }));
  parts.push(svg("text", { x: size.left + w / 2, y: size.height - 3, "text-anchor": "middle" }, xLabel));
  const xOf = (place) => xRange[0] + ((place - size.left) / w) * (xRange[1] - xRange[0]);
  return { x, y, xOf, parts };
}

function path(points) {
  return points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

/** Index of the value of a rising list that is nearest to `wanted`. */
function nearest(values, wanted) {
  let [low, high] = [0, values.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle] < wanted) low = middle;
    else high = middle;
  }
  return wanted - values[low] <= values[high] - wanted ? low : high;
}

/**
 * Curves. Drag to zoom, double-click for all; keys: arrows move the cursor, + - 0 zoom.
 *
 * `series`: {name, x, y, colour, dash, shape, low, high (a band), marked}; `update` takes new ones.
 * `onzoom(from, to)` may fetch finer ones; `lines`: {chance, ceiling: [low, high]}; `note` says what
 * bands and lines are.
 */
class LineChart {
  constructor({ title, xLabel, series, onzoom = null, lines = {}, note = "" }) {
    Object.assign(this, { title, xLabel, onzoom, lines });
    this.hidden = new Set();
    this.zoom = null;
    this.cursor = null;
    this.picture = svg("svg", {
      viewBox: `0 0 ${CHART.width} ${CHART.height}`, tabindex: 0, role: "img", "aria-label": title,
      onpointermove: (e) => this.moved(e), onpointerdown: (e) => this.pressed(e),
      onpointerup: (e) => this.released(e), ondblclick: () => this.zoomTo(null),
      onkeydown: (e) => this.key(e), onpointerleave: () => this.point(null),
    });
    this.tip = el("div", { class: "tip", "aria-live": "polite" });
    this.legend = el("div", { class: "legend" });
    const save = () => downloadSvg(title, this.picture, this.shown.length > 1 ? this.shown : [], note);
    this.element = el("figure", {}, el("figcaption", {}, title,
      el("button", { onclick: save }, "SVG")), this.picture, this.tip, note ? el("div", { class: "legend" }, note) : "", this.legend);
    this.update(series);
  }

  update(series) {
    this.series = series;
    this.drawLegend();
    this.draw();
  }

  get shown() {
    return this.series.filter((one) => !this.hidden.has(one.name));
  }

  draw() {
    const whole = extent(this.shown.flatMap((one) => [one.x[0], one.x.at(-1)])
      .filter((v) => v !== undefined));
    const xRange = this.zoom ?? whole;
    const inside = this.shown.flatMap((one) => [one.y, one.low, one.high].filter(Boolean)
      .flatMap((values) => values.filter((_, i) => one.x[i] >= xRange[0] && one.x[i] <= xRange[1])));
    const { chance, ceiling } = this.lines;
    const marks = [chance, ...(ceiling ?? [])].filter((v) => typeof v === "number");
    const [low, high] = extent([...inside, ...marks]);
    const room = 0.04 * (high - low);
    const axes = (this.axes = frame(xRange, [low - room, high + room], this.xLabel));
    const clip = `clip${(LineChart.count = (LineChart.count ?? 0) + 1)}`;
    const right = CHART.width - CHART.right;
    const height = CHART.height - CHART.top - CHART.bottom;
    const area = svg("g", { "clip-path": `url(#${clip})` });
    if (ceiling) {
      area.append(svg("rect", { class: "ceiling", x: CHART.left, width: right - CHART.left,
        y: axes.y(ceiling[1]), height: Math.max(2, axes.y(ceiling[0]) - axes.y(ceiling[1])) }));
    }
    if (typeof chance === "number") {
      area.append(svg("line", { class: "chance", x1: CHART.left, x2: right,
        y1: axes.y(chance), y2: axes.y(chance) }));
    }
    for (const one of this.shown) area.append(...this.curve(one, axes));
    this.mark = svg("line", { class: "axis", visibility: "hidden", y1: CHART.top,
      y2: CHART.height - CHART.bottom });
    this.choice = svg("rect", { class: "ceiling", visibility: "hidden", y: CHART.top, height });
    const empty = inside.length ? [] : [svg("text", { x: CHART.width / 2, y: CHART.height / 2,
      "text-anchor": "middle" }, "nothing yet")];
    this.picture.replaceChildren(
      svg("clipPath", { id: clip }, svg("rect", { x: CHART.left, y: CHART.top - 3,
        width: right - CHART.left + 3, height: height + 6 })),
      ...axes.parts, area, this.mark, this.choice, ...empty);
    if (this.cursor !== null) this.point(this.cursor);
  }

  curve(one, axes) {
    const places = one.x.map((x, i) => [axes.x(x), axes.y(one.y[i])]);
    const parts = [];
    if (one.low) {
      const upper = one.x.map((x, i) => [axes.x(x), axes.y(one.high[i])]);
      const lower = one.x.map((x, i) => [axes.x(x), axes.y(one.low[i])]).reverse();
      parts.push(svg("path", { d: `${path([...upper, ...lower])}Z`, fill: one.colour, opacity: 0.2 }));
    }
    parts.push(svg("path", { d: path(places), fill: "none", stroke: one.colour,
      "stroke-width": 1.6, "stroke-dasharray": one.dash || null }));
    // A line of several has its shape here and there, at other places than its neighbours.
    const every = one.marked || places.length === 1 ? 1 : Math.ceil(places.length / SYMBOLS);
    if (every === 1 || one.shape !== undefined) {
      parts.push(...places.filter((_, i) => (i + (one.shape ?? 0)) % every === 0).map(([x, y]) => symbol(one, x, y)));
    }
    return parts;
  }

  drawLegend() {
    if (this.series.length < 2) return this.legend.replaceChildren();
    this.legend.replaceChildren(...this.series.map((one) => el("button", {
      "aria-pressed": String(!this.hidden.has(one.name)),
      onclick: () => {
        if (!this.hidden.delete(one.name)) this.hidden.add(one.name);
        this.drawLegend();
        this.draw();
      },
    }, svg("svg", { viewBox: "0 0 24 10" }, lineSample(one, 0, 5)), ` ${one.name}`)));
  }

  place(event) {
    const box = this.picture.getBoundingClientRect();
    return this.axes.xOf(((event.clientX - box.left) / box.width) * CHART.width);
  }

  pressed(event) {
    this.from = this.place(event);
    this.picture.setPointerCapture(event.pointerId);
  }

  moved(event) {
    const at = this.place(event);
    this.point(at);
    if (this.from === undefined) return;
    const [a, b] = [this.axes.x(Math.min(this.from, at)), this.axes.x(Math.max(this.from, at))];
    for (const [name, value] of Object.entries({ x: a, width: b - a, visibility: "visible" })) {
      this.choice.setAttribute(name, value);
    }
  }

  released(event) {
    const [from, to] = [this.from, this.place(event)].sort((a, b) => a - b);
    this.from = undefined;
    this.choice.setAttribute("visibility", "hidden");
    if (this.axes.x(to) - this.axes.x(from) > 5) this.zoomTo([from, to]);
  }

  zoomTo(range) {
    this.zoom = range;
    this.draw();
    if (this.onzoom) this.onzoom(...(range ?? [0, 2 ** 31]));
  }

  key(event) {
    const [low, high] = this.zoom ?? extent(this.shown.flatMap((one) => [one.x[0], one.x.at(-1)]));
    const middle = this.cursor ?? (low + high) / 2;
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move) this.point(Math.max(low, Math.min(high, middle + (move * (high - low)) / 50)));
    else if (event.key === "+") this.zoomTo([middle - (high - low) / 4, middle + (high - low) / 4]);
    else if (event.key === "-" || event.key === "0") this.zoomTo(null);
    else return;
    event.preventDefault();
  }

  /** Shows the values at a place; null: none. */
  point(at) {
    this.cursor = at;
    this.mark.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at === null) return;
    const said = this.shown.filter((one) => one.x.length).map((one) => {
      const i = nearest(one.x, at);
      const band = one.low ? ` (${short(one.low[i])} to ${short(one.high[i])})` : "";
      return { x: one.x[i], text: `${one.name}: ${short(one.y[i])}${band}` };
    });
    if (!said.length) return;
    const snapped = said.map((one) => one.x).reduce((a, b) =>
      (Math.abs(b - at) < Math.abs(a - at) ? b : a));
    this.mark.setAttribute("x1", this.axes.x(snapped));
    this.mark.setAttribute("x2", this.axes.x(snapped));
    const x = this.xLabel ? `${this.xLabel} ` : "";
    this.tip.textContent = `${x}${short(snapped)} — ${said.map((one) => one.text).join(", ")}`;
  }
}

/**
 * Values with intervals, one a line, beside chance and ceiling: {name, value, low, high}; `interval`
 * says what the intervals are.
 */
function dotPlot(title, rows, { chance = null, ceiling = null, interval = "" } = {}) {
  const longest = Math.max(...rows.map((row) => row.name.length), 4);
  const size = { width: CHART.width, height: 44 + 18 * rows.length, left: Math.min(230, 14 + 6.2 * longest),
    right: 54, top: 6, bottom: 30 };
  const note = [rows.some((row) => typeof row.low === "number") && `bars: 95 % interval${interval && ` (${interval})`}`,
    ceiling && `shaded: ceiling ${limitsText(ceiling)}`, typeof chance === "number" && `dotted: chance ${score(chance)}`]
    .filter(Boolean).join("; ");
  const numbers = rows.flatMap((row) => [row.value, row.low, row.high]);
  const all = [...numbers, chance, ...(ceiling ?? []), 0].filter((v) => typeof v === "number");
  const range = extent(all);
  const axes = frame(range, [0, 1], "", size);
  const x = axes.x;
  const bottom = size.height - size.bottom;
  const parts = [];
  if (ceiling) {
    parts.push(svg("rect", { class: "ceiling", x: x(ceiling[0]), y: size.top,
      width: Math.max(2, x(ceiling[1]) - x(ceiling[0])), height: bottom - size.top },
    svg("title", {}, `ceiling ${score(ceiling[0])} to ${score(ceiling[1])}`)));
  }
  if (typeof chance === "number") {
    parts.push(svg("line", { class: "chance", x1: x(chance), x2: x(chance), y1: size.top, y2: bottom }));
  }
  rows.forEach((row, i) => {
    const y = size.top + 14 + 18 * i;
    const name = row.name.length > 36 ? `${row.name.slice(0, 35)}…` : row.name;
    parts.push(svg("text", { x: size.left - 6, y: y + 4, "text-anchor": "end" }, name));
    if (typeof row.value !== "number") return;
    if (typeof row.low === "number") {
      parts.push(svg("line", { x1: x(row.low), x2: x(row.high), y1: y, y2: y, stroke: COLOURS[0],
        "stroke-width": 2 }));
    }
    parts.push(svg("circle", { cx: x(row.value), cy: y, r: 4, fill: COLOURS[0] }));
    parts.push(svg("text", { x: size.width - size.right + 6, y: y + 4 }, score(row.value)));
  });
  const base = ticks(...range).map((t) =>
    svg("text", { x: x(t), y: bottom + 14, "text-anchor": "middle" }, short(t)));
  const picture = svg("svg", { viewBox: `0 0 ${size.width} ${size.height}`, role: "img",
    "aria-label": title }, svg("path", { class: "axis", d: `M${size.left} ${bottom}H${size.width - size.right}` }),
  ...base, ...parts);
  return el("figure", {}, el("figcaption", {}, title, el("button", {
    onclick: () => downloadSvg(title, picture, [], note) }, "SVG")), picture, el("div", { class: "legend" }, note));
}

/** Two limits, or one if they are the same. */
function limitsText(limits, between = " to ") {
  return [...new Set(limits.map(score))].join(between);
}

/**
 * A map of numbers as a table whose cells are shaded. `format` makes the text; `shares` in [0, 1] the
 * shades, where they are not those of the values; `pick(i, j)` what a cell does: {does, says} or null;
 * `intervals` [low, high] go below the values; `note` says what is seen.
 */
function heatMap(title, rows, columns, values, { format = score, corner = "", shares = null, pick = null,
  intervals = null, note = "" } = {}) {
  const [low, high] = extent(values.flat().filter((v) => typeof v === "number"));
  const cell = (value, i, j) => {
    const does = pick?.(i, j);
    const td = el("td", {}, does ? el("button", { onclick: does.does, "aria-label": does.says }, format(value))
      : format(value));
    const share = shares ? shares[i][j] : (value - low) / (high - low);
    if (typeof value === "number" && share !== null) {
      td.style.background = shade(share);
      td.className = share > 0.62 ? "deep" : "pale";
    }
    if (intervals?.[i][j]) td.append(el("small", {}, `[${intervals[i][j].map(score).join(", ")}]`));
    return td;
  };
  const body = rows.map((name, i) =>
    el("tr", {}, el("th", { scope: "row" }, name), values[i].map((value, j) => cell(value, i, j))));
  return el("div", {}, el("h3", {}, title), el("div", { class: "wide" }, el("table", { class: "heat" },
    el("thead", {}, el("tr", {}, el("th", {}, corner), columns.map((c) => el("th", {}, c)))),
    el("tbody", {}, body))), note ? el("p", { class: "faint" }, note) : null);
}

/** A small curve without axes; what it shows is its title. */
function sparkline(spark) {
  if (!spark) return "";
  const [low, high] = extent(spark.values);
  const points = spark.values.map((v, i) => [
    1 + (i / (spark.values.length - 1)) * 88, 18 - ((v - low) / (high - low)) * 16]);
  const text = `${spark.of}: ${short(spark.values[0])} to ${short(spark.values.at(-1))}`;
  const picture = svg("svg", { viewBox: "0 0 90 20", role: "img", "aria-label": text },
    svg("title", {}, text), svg("path", { class: "spark", d: path(points) }));
  picture.style.width = "90px";
  return picture;
}
