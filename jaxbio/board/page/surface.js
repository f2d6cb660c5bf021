"use strict";
// A measure over two parameters as a surface that turns, on a canvas.

/** A surface of points {at: [values of keys], value}; of more than two keys two are chosen. */
function surfaceOf(keys, points, label) {
  const varied = keys.map((key, i) => ({ key, i })).filter(({ i }) =>
    new Set(points.map((p) => p.at[i])).size > 1 && points.every((p) => typeof p.at[i] === "number"));
  if (varied.length < 2) return null;
  const pairs = varied.flatMap((_, i) => varied.slice(i + 1).map((__, k) => [i, i + 1 + k]));
  const first = pairs.find(([i, j]) => hasFaces(averaged(points, varied[i].i, varied[j].i)));
  if (!first) return null; // nothing but points far from each other
  const box = el("div");
  const choose = (start) => el("select", { "aria-label": "parameter", onchange: () => show() },
    varied.map(({ key }, n) => el("option", { value: n, selected: n === start }, key)));
  const [a, b] = first.map(choose);
  const show = () => {
    const [i, j] = [varied[a.value].i, varied[b.value].i];
    const grid = averaged(points, i, j);
    box.replaceChildren(i === j ? el("p", {}, "Choose two different parameters.")
      : hasFaces(grid) ? new Surface(grid, [keys[i], keys[j], label]).element
        : el("p", {}, "No four neighbours of this grid have all been run: choose other parameters."));
  };
  show();
  return el("div", {}, el("div", { class: "bar" }, "surface over", a, b), box);
}

/** The runs of a sweep by two numeric keys that differ, or null. */
function surfaceOfRuns(table, runs) {
  const scored = runs.filter((run) => run.score);
  const keys = table.keys.filter((key) => key !== "seed" && scored.every((run) => key in run.keys
    && typeof cellValue(single(run), key) === "number"));
  const points = scored.map((run) => ({ at: keys.map((key) => cellValue(single(run), key)), value: run.score[1] }));
  return points.length ? surfaceOf(keys, points, scored[0].score[0]) : null;
}

/** Means over all other parameters: rows, columns and the value at each pair (null: none). */
function averaged(points, i, j) {
  const axis = (n) => [...new Set(points.map((p) => p.at[n]))].sort((a, b) => a - b);
  const [xs, ys] = [axis(i), axis(j)];
  const z = xs.map((x) => ys.map((y) => {
    const here = points.filter((p) => p.at[i] === x && p.at[j] === y).map((p) => p.value);
    return here.length ? mean(here) : null;
  }));
  return { xs, ys, z };
}

/** Whether four points somewhere are the corners of a piece of surface. */
function hasFaces({ z }) {
  const there = (i, j) => z[i]?.[j] !== undefined && z[i][j] !== null;
  return z.some((row, i) => row.some((_, j) => there(i, j) && there(i + 1, j) && there(i, j + 1) && there(i + 1, j + 1)));
}

/** The turn that shows the lowest corner in front, so that it hides nothing. */
function lowestInFront(z) {
  const corners = [z[0][0], z[0].at(-1), z.at(-1).at(-1), z.at(-1)[0]];
  const inFront = [0.785, 2.356, 3.927, 5.498]; // of the corners, in the order above
  const lowest = corners.map((v) => v ?? Infinity).reduce((best, v, i, all) => (v < all[best] ? i : best), 0);
  return inFront[lowest] + 0.15;
}

/** Drag or arrow keys turn it; the nearest point is named under it. */
class Surface {
  constructor(grid, labels) {
    Object.assign(this, { grid, labels, turn: lowestInFront(grid.z), tilt: 0.6 });
    this.canvas = el("canvas", { class: "surface", width: 960, height: 640, tabindex: 0, role: "img",
      "aria-label": `surface of ${labels[2]} over ${labels[0]} and ${labels[1]}; arrow keys turn it`,
      onpointerdown: (e) => this.canvas.setPointerCapture(e.pointerId),
      onpointermove: (e) => this.moved(e), onkeydown: (e) => this.key(e) });
    this.canvas.style.width = "480px";
    this.tip = el("div", { class: "tip", "aria-live": "polite" }, "drag or arrow keys turn it");
    this.element = el("div", {}, this.canvas, this.tip);
    this.range = extent(grid.z.flat().filter((v) => v !== null));
    this.draw();
  }

  /** Place on the canvas and depth of a point of the cube [-1, 1]^3. */
  project(x, y, z) {
    const [s, c] = [Math.sin(this.turn), Math.cos(this.turn)];
    const [u, v] = [x * c - y * s, x * s + y * c];
    const depth = v * Math.cos(this.tilt) - z * Math.sin(this.tilt);
    const up = z * Math.cos(this.tilt) + v * Math.sin(this.tilt);
    const scale = 195 / (1 + 0.12 * depth);
    return [480 + u * scale, 305 - up * scale, depth];
  }

  corner(i, j) {
    const { xs, ys, z } = this.grid;
    if (z[i][j] === null) return null;
    const share = (z[i][j] - this.range[0]) / (this.range[1] - this.range[0]);
    return { place: this.project((2 * i) / (xs.length - 1) - 1, (2 * j) / (ys.length - 1) - 1, share * 1.4 - 0.7), share, i, j };
  }

  draw() {
    const pen = this.canvas.getContext("2d");
    const ink = getComputedStyle(document.body).color || "#222";
    const palette = getComputedStyle(document.documentElement);
    const ends = ["--least", "--most"].map((name) => palette.getPropertyValue(name).trim());
    pen.clearRect(0, 0, 960, 640);
    const { xs, ys } = this.grid;
    this.corners = xs.map((_, i) => ys.map((__, j) => this.corner(i, j)));
    const faces = [];
    for (let i = 0; i + 1 < xs.length; i++) {
      for (let j = 0; j + 1 < ys.length; j++) {
        const four = [this.corners[i][j], this.corners[i + 1][j], this.corners[i + 1][j + 1], this.corners[i][j + 1]];
        if (four.every(Boolean)) faces.push(four);
      }
    }
    this.drawBox(pen, ink);
    faces.sort((a, b) => mean(b.map((c) => c.place[2])) - mean(a.map((c) => c.place[2])));
    for (const four of faces) {
      pen.beginPath();
      four.forEach(({ place: [x, y] }, n) => (n ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      pen.closePath();
      pen.fillStyle = shade(mean(four.map((c) => c.share)), ...ends);
      pen.strokeStyle = ink;
      pen.fill();
      pen.stroke();
    }
    this.drawLabels(pen, ink);
    if (this.near) {
      pen.beginPath();
      pen.arc(...this.near.place.slice(0, 2), 8, 0, 7);
      pen.fillStyle = COLOURS[1];
      pen.fill();
    }
  }

  drawBox(pen, ink) {
    pen.strokeStyle = ink;
    const line = (a, b) => {
      const [[x1, y1], [x2, y2]] = [this.project(...a), this.project(...b)];
      pen.beginPath();
      pen.moveTo(x1, y1);
      pen.lineTo(x2, y2);
      pen.stroke();
    };
    const base = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map((corner) => [...corner, -0.7]);
    base.forEach((corner, n) => line(corner, base[(n + 1) % 4]));
    const [left] = base.sort((a, b) => this.project(...a)[0] - this.project(...b)[0]);
    line(left, [left[0], left[1], 0.7]);
    this.left = left;
  }

  /** Names and ends of the axes where nothing is in front of them. */
  drawLabels(pen, ink) {
    const { xs, ys } = this.grid;
    const depth = (...place) => this.project(...place)[2];
    const near = [depth(1, 0, 0) < depth(-1, 0, 0) ? 1 : -1, depth(0, 1, 0) < depth(0, -1, 0) ? 1 : -1];
    const text = (what, place, align = "center") => {
      pen.textAlign = align;
      pen.fillText(what, ...this.project(...place).slice(0, 2));
    };
    const lastPart = (name) => name.split(".").at(-1);
    pen.fillStyle = ink;
    pen.font = "24px system-ui, sans-serif";
    for (const [end, u] of [[0, -0.85], [-1, 0.85]]) {
      text(short(xs.at(end)), [u, 1.2 * near[1], -0.8]);
      text(short(ys.at(end)), [1.2 * near[0], u, -0.8]);
    }
    text(lastPart(this.labels[0]), [0, 1.4 * near[1], -0.8]);
    text(lastPart(this.labels[1]), [1.4 * near[0], 0, -0.8]);
    const [x, y] = this.left.map((v) => 1.08 * v);
    text(score(this.range[0]), [x, y, -0.7], "right");
    text(score(this.range[1]), [x, y, 0.7], "right");
    pen.textAlign = "left";
    pen.fillText(`${this.labels[2]} (height and shade)`, 16, 34);
  }

  moved(event) {
    if (event.buttons) {
      this.turn += event.movementX / 120;
      this.tilt = Math.max(0, Math.min(1.5, this.tilt + event.movementY / 120));
      return this.draw();
    }
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [((event.clientX - box.left) / box.width) * 960, ((event.clientY - box.top) / box.height) * 640];
    const all = this.corners.flat().filter(Boolean);
    const away = (c) => Math.hypot(c.place[0] - x, c.place[1] - y);
    this.near = all.reduce((best, c) => (away(c) < away(best) ? c : best), all[0]);
    const { xs, ys, z } = this.grid;
    const { i, j } = this.near;
    this.tip.textContent = `${this.labels[0]} ${short(xs[i])}, ${this.labels[1]} ${short(ys[j])}: ${this.labels[2]} ${score(z[i][j])}`;
    this.draw();
  }

  key(event) {
    const [turn, tilt] = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key] ?? [];
    if (turn === undefined) return;
    this.turn += turn;
    this.tilt = Math.max(0, Math.min(1.5, this.tilt + tilt));
    this.draw();
    event.preventDefault();
  }
}
