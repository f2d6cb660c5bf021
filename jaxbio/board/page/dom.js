"use strict";
// Elements, numbers as text, colours, downloads: what every part of the page uses.

// Told apart by people with any colour vision (Okabe & Ito 2008); dashes repeat what they say.
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666"];
const DASHES = ["", "6 3", "2 3", "8 3 2 3"];

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

/** Light to dark for 0 to 1: lightness alone tells the order. */
function shade(share) {
  const s = Math.max(0, Math.min(1, share));
  const mix = (from, to) => Math.round(from + s * (to - from));
  return { background: `rgb(${mix(247, 8)},${mix(251, 48)},${mix(255, 107)})`,
    text: s > 0.62 ? "#fff" : "#111" };
}

/** Gives a text to the user as a file. */
function download(name, text, kind) {
  const address = URL.createObjectURL(new Blob([text], { type: kind }));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function downloadSvg(name, picture) {
  const copy = picture.cloneNode(true);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  download(name, copy.outerHTML, "image/svg+xml");
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
