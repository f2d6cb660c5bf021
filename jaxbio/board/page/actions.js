"use strict";
// Where it is allowed: start, stop, evaluate; a digit drawn for a spiking network.

const TOKEN = "jaxbio-board-token";

/** Takes the token out of the printed address, so that no one reads it over a shoulder. */
function keepToken() {
  const found = location.hash.match(/^#token=([\w-]+)$/);
  if (!found) return;
  sessionStorage.setItem(TOKEN, found[1]);
  history.replaceState(null, "", location.pathname);
}

function mayAct() {
  return !source.exported && sessionStorage.getItem(TOKEN) !== null;
}

async function act(what, asked = {}) {
  const reply = await fetch(`api/do/${what}`, { method: "POST", body: JSON.stringify(asked),
    headers: { "Content-Type": "application/json", "X-Board-Token": sessionStorage.getItem(TOKEN) } });
  if (!reply.ok) throw new Error((await reply.text()).trim());
  return reply.json();
}

/** A button that says what came of it. */
function doing(label, does) {
  const said = el("span", { class: "faint", role: "status" });
  const button = el("button", { onclick: async () => {
    button.disabled = true;
    try {
      said.replaceChildren(...[await does()].flat());
      said.className = "faint";
    } catch (error) {
      said.textContent = error.message;
      said.className = "bad";
    }
    button.disabled = false;
  } }, label);
  return [button, said];
}

const MEASURES = ["accuracy", "robustness", "attacks", "similarity", "time", "physiology"];

/** Buttons for the run of a page, and what is told its task when that is known. */
function runActions(names) {
  if (!mayAct() || names.length !== 1) return [el("div"), () => {}];
  const [run] = names;
  const mode = el("select", { "aria-label": "measure" });
  const offer = (task) => { // all but the accuracy wants layers and gradients
    const modes = task === "stdp" ? MEASURES.slice(0, 1) : MEASURES;
    if (mode.length !== modes.length) mode.replaceChildren(...modes.map((name) => el("option", {}, name)));
  };
  const bar = el("div", { class: "bar" },
    doing("Stop (it saves first)", async () => `asked process ${(await act("stop", { run })).stopped}`),
    mode, doing("Evaluate", async () => [
      `started: ${(await act("evaluate", { run, mode: mode.value })).command} — `,
      el("a", { href: "#actions" }, "what it says")]));
  offer("");
  return [bar, offer];
}

class ActionsPage {
  constructor(root) {
    this.experiment = el("input", { list: "experiments", value: "lc_snn", "aria-label": "experiment" });
    this.names = el("datalist", { id: "experiments" });
    this.name = el("input", { placeholder: "name of the run", "aria-label": "name of the run" });
    this.extend = el("input", { placeholder: "epochs, or 500steps", "aria-label": "longer by" });
    this.changes = el("textarea", { rows: 4, cols: 50, "aria-label": "changed keys",
      placeholder: "a change a line, such as\nspiking.filters=25\nspiking.train_images=2000" });
    this.jobs = el("div");
    this.made = new Map(); // number of a command: its elements, which stay where one has scrolled to
    const start = async () => {
      const changes = this.changes.value.split("\n").map((line) => line.trim()).filter(Boolean);
      const job = await act("start", { experiment: this.experiment.value, name: this.name.value, changes,
        extend: this.extend.value.trim() });
      setTimeout(refresh); // it is listed below at once
      return `started: ${job.command}`;
    };
    root.replaceChildren(el("h1", {}, "Actions"), el("div", { class: "bar" },
      el("label", {}, "experiment", this.experiment, this.names), el("label", {}, "run", this.name),
      el("label", {}, "longer by", this.extend)),
    this.changes, el("div", { class: "bar" }, doing("Start", start)),
    el("p", { class: "faint" }, "To go on with a run, or to make it longer, give the changes that it was started with. "
      + "Commands go on when this page or the board is closed."),
    el("h2", {}, "Commands"), this.jobs);
  }

  async update(table) {
    if (!mayAct()) {
      this.jobs.replaceChildren(el("p", {}, "Start the board with --allow-actions, and open the address that it prints."));
      return;
    }
    if (!this.names.children.length) {
      this.names.replaceChildren(...(table.experiments ?? []).map((name) => el("option", { value: name })));
    }
    const jobs = await act("jobs");
    const parts = jobs.map((job, i) => this.part(jobs.length - i, job));
    replaceChanged(this.jobs, parts.length ? parts.map((part) => part.element) : [el("p", {}, "None yet.")]);
    parts.forEach(({ said }, i) => {
      if (said.textContent === jobs[i].said) return;
      said.textContent = jobs[i].said;
      said.scrollTop = said.scrollHeight; // the newest line
    });
  }

  part(number, job) {
    if (!this.made.has(number)) {
      const [state, said] = [el("span"), el("pre", { tabindex: 0, "aria-label": "what it says" })];
      this.made.set(number, { state, said, element: el("div", {}, el("code", {}, job.command), state, said) });
    }
    const part = this.made.get(number);
    part.state.textContent = ` — ${job.code === null ? "running" : `ended with code ${job.code}`}`;
    part.state.className = job.code ? "bad" : "";
    return part;
  }
}

const PAD = 56; // the drawing's side, pixels

/** A field to draw a digit on, and what the network says of it. */
function digitPart(run) {
  if (run.task !== "stdp" || !mayAct()) return null;
  const canvas = el("canvas", { width: PAD, height: PAD, role: "application", id: "digit", tabindex: 0,
    "aria-label": "a field to draw a digit on; arrow keys draw, with Shift they only move" });
  const spot = el("span", { class: "spot" });
  canvas.style.width = canvas.style.height = "224px";
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const clear = () => {
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, PAD, PAD);
  };
  clear();
  pen.strokeStyle = "#fff";
  pen.lineWidth = 5;
  pen.lineCap = pen.lineJoin = "round";
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * PAD, ((event.clientY - box.top) / box.height) * PAD];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pen.beginPath();
    pen.moveTo(...place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    pen.lineTo(...place(event));
    pen.stroke();
  });
  const at = [PAD / 2, PAD / 2]; // of the pen that arrow keys move
  const move = (x, y, draws) => {
    pen.beginPath();
    pen.moveTo(...at);
    [x, y].forEach((by, axis) => { at[axis] = Math.max(2, Math.min(PAD - 2, at[axis] + by)); });
    if (draws) {
      pen.lineTo(...at);
      pen.stroke();
    }
    spot.style.left = `${(100 * at[0]) / PAD}%`;
    spot.style.top = `${(100 * at[1]) / PAD}%`;
  };
  move(0, 0, false);
  canvas.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-2, 0], ArrowRight: [2, 0], ArrowUp: [0, -2], ArrowDown: [0, 2] }[event.key];
    if (!by) return;
    move(...by, !event.shiftKey);
    event.preventDefault();
  });
  const answer = el("div", { id: "answer", role: "status" });
  const classify = async () => {
    const { data } = pen.getImageData(0, 0, PAD, PAD);
    const picture = Array.from({ length: PAD }, (_, y) =>
      Array.from({ length: PAD }, (__, x) => data[4 * (y * PAD + x)]));
    const found = await act("classify", { run: run.name, picture });
    answer.replaceChildren(el("p", {}, "The network says ", el("strong", {}, found.label ?? "nothing"),
      ` with ${found.count} spike${found.count === 1 ? "" : "s"}.`),
    el("div", { class: "grid" }, dotPlot("scores", found.classes.map((name, i) => ({ name: String(name), value: found.scores[i] }))),
      raster(found)));
    return "";
  };
  return el("div", {}, el("p", { class: "faint" }, "Draw with the pointer, or with the arrow keys; with Shift they only move."),
    el("div", { class: "pad" }, canvas, spot), el("div", { class: "bar" },
    doing("Show it to the network", classify), el("button", { onclick: clear }, "Clear")), answer);
}

/** Spikes of all neurons over time. */
function raster({ spikes, steps, neurons, dt }) {
  const axes = frame([0, steps * dt], [0, neurons], "ms");
  const tall = spikes.length < 2000 ? 5 : 1.5; // few are to be seen, many to be told apart
  const dots = spikes.map(([when, who]) => {
    const [x, y] = [axes.x(when * dt), axes.y(who)];
    return `M${x.toFixed(1)} ${(y - tall / 2).toFixed(1)}v${tall}`;
  }).join("");
  return el("figure", {}, el("figcaption", {}, "spikes by neuron"), svg("svg", {
    viewBox: `0 0 ${CHART.width} ${CHART.height}`, role: "img", "aria-label": `${spikes.length} spikes` },
  axes.parts, svg("path", { d: dots, stroke: COLOURS[0], "stroke-width": 1.5 })));
}
