"use strict";
// Elements, numbers as text, colours, downloads: what every part of the page uses.

// Lines differ in colour (Okabe & Ito 2008), shape and dash: no colour vision is needed to tell them apart.
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666"];
const DASHES = ["", "6 3", "2 3", "8 3 2 3"];
const SHAPES = ["M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0", "M-3-3h6v6h-6z", "M0-4l4 7h-8z",
  "M0-4.5l4.5 4.5l-4.5 4.5l-4.5-4.5z", "M0 4l4-7h-8z"];

/** An HTML element; `attributes` may hold listeners (`onclick`), text goes in as text. */
function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same of SVG. */
function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** Makes `children` the children of an element; what stays in its place is not touched. */
function replaceChanged(parent, children) {
  const now = [...parent.children];
  if (now.length !== children.length) return parent.replaceChildren(...children);
  const moved = children.filter((child, i) => child !== now[i]);
  if (moved.some((child) => child.parentNode === parent)) return parent.replaceChildren(...children);
  children.forEach((child, i) => child !== now[i] && now[i].replaceWith(child));
}

/** A table: `head` and `rows` hold text or elements. */
function tableOf(head, rows, attributes = {}) {
  const line = (cells, tag) => el("tr", {}, cells.map((cell) => el(tag, {}, cell ?? "")));
  return el("div", { class: "wide" }, el("table", attributes,
    el("thead", {}, line(head, "th")), el("tbody", {}, rows.map((row) => line(row, "td")))));
}

/** A number with four digits that count. */
function short(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-4 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/** A share or score with three digits. */
function score(value) {
  return typeof value === "number" ? value.toFixed(3) : "";
}

const DATES = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "short" });

/** A date as people of this machine write it. */
function date(seconds) {
  return seconds ? DATES.format(new Date(1000 * seconds)) : "";
}

/** A duration in seconds as h:mm:ss. */
function duration(seconds) {
  const pad = (n) => String(Math.floor(n)).padStart(2, "0");
  return `${Math.floor(seconds / 3600)}:${pad((seconds / 60) % 60)}:${pad(seconds % 60)}`;
}

function colour(number) {
  return COLOURS[number % COLOURS.length];
}

function dash(number) {
  return DASHES[number % DASHES.length];
}

/** From the page's own lightness away for 0 to 1: lightness alone tells the order. */
function shade(share, least = "var(--least)", most = "var(--most)") {
  return `color-mix(in srgb, ${most} ${100 * Math.max(0, Math.min(1, share))}%, ${least})`;
}

/** Gives a text to the user as a file. */
function download(name, text, kind) {
  const address = URL.createObjectURL(new Blob([text], { type: kind }));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// A drawing that leaves the page leaves its style sheet too; paper is white.
const ON_PAPER = "svg { background: #fff } text { fill: #1a1a1a; font: 11px system-ui, sans-serif } "
  + ".axis { stroke: #5a5a5a; fill: none } .grid-line { stroke: #d4d4d4 } "
  + ".ceiling { fill: #0072b2; fill-opacity: 0.18 } .chance { stroke: #5a5a5a; stroke-dasharray: 2 3 }";

/** Saves a drawing with its title, the names of its lines ({name, colour, dash}) and a note below. */
function downloadSvg(title, picture, lines = [], note = "") {
  const copy = picture.cloneNode(true);
  const [, , width, height] = copy.getAttribute("viewBox").split(" ").map(Number);
  const rows = [{ name: title }, ...lines, ...(note ? [{ name: note }] : [])];
  rows.forEach((one, i) => {
    const y = height + 14 + 16 * i;
    if (one.colour) copy.append(...lineSample(one, 8, y - 4));
    copy.append(svg("text", { x: one.colour ? 38 : 8, y }, one.name));
  });
  const whole = height + 8 + 16 * rows.length;
  for (const [key, value] of Object.entries({ viewBox: `0 0 ${width} ${whole}`, width, height: whole,
    xmlns: "http://www.w3.org/2000/svg" })) copy.setAttribute(key, value);
  copy.prepend(svg("style", {}, ON_PAPER));
  download(`${title.replace(/\W+/g, "_")}.svg`, new XMLSerializer().serializeToString(copy), "image/svg+xml");
}

/** A piece of a line as it is drawn: {colour, dash, shape}. */
function lineSample(line, x, y) {
  return [svg("line", { x1: x, x2: x + 24, y1: y, y2: y, stroke: line.colour, "stroke-width": 2,
    "stroke-dasharray": line.dash || null }), line.shape === undefined ? null : symbol(line, x + 12, y)].filter(Boolean);
}

/** A point of a line. */
function symbol({ colour: ink, shape = 0 }, x, y) {
  return svg("path", { d: SHAPES[shape % SHAPES.length], fill: ink, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` });
}

/** `#view?a=1&run=x&run=y`: the name of a view and what it shows. */
function address() {
  const [view, query = ""] = location.hash.slice(1).split("?");
  return { view: view || "runs", query: new URLSearchParams(query) };
}

function runLink(names) {
  const query = new URLSearchParams();
  for (const name of names) query.append("run", name);
  return `#run?${query}`;
}
