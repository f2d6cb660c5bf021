"use strict";
// What is taken for what: a matrix whose cells open the pictures that are behind them.

const PAIRS_LISTED = 12; // beside a matrix
const PAIRS_WITHOUT_MATRIX = 100; // of many classes

function confusionPart(run) {
  const found = run.confusion;
  if (!found) {
    return run.task === "classification" ? el("p", { class: "faint" }, "The answers are not recorded: ",
      el("code", {}, `jaxbio evaluate ${run.path}`)) : null;
  }
  const { labels, columns, counts, pairs } = found;
  const box = el("div", { id: "wrong", "aria-live": "polite" });
  const show = (pair) => showPair(box, run, pair);
  const title = `${found.right} of ${found.images} right`
    + (found.readout ? `, by ${found.readout.replaceAll("_", " ")}` : "");
  const hint = el("p", { class: "faint" }, pairs.length ? "Choose a cell, or a pair, to see the pictures." : "");
  const at = new Map(pairs.map((pair) => [`${pair.class} ${pair.answer}`, pair]));
  const matrix = counts ? heatMap(title, labels, columns, counts, {
    format: (count) => (count ? String(count) : ""), corner: "true \\ said", shares: rowShares(counts),
    pick: (i, j) => {
      const pair = at.get(`${i} ${j}`);
      return pair ? { does: () => show(pair), says: wordsOf(run, pair) } : null;
    } }) : el("h3", {}, title);
  const listed = pairs.slice(0, counts ? PAIRS_LISTED : PAIRS_WITHOUT_MATRIX);
  const list = el("div", {}, el("h3", {}, "Most frequent"), el("ol", { class: "pairs" }, listed.map((pair) =>
    el("li", {}, el("button", { onclick: () => show(pair) }, wordsOf(run, pair))))));
  return [hint, el("div", { class: "grid" }, matrix, listed.length ? list : null), box];
}

/** Counts over the sum of their row. */
function rowShares(counts) {
  return counts.map((row) => {
    const sum = row.reduce((a, b) => a + b, 0);
    return row.map((count) => (count ? count / sum : null));
  });
}

function wordsOf(run, pair) {
  const { columns } = run.confusion;
  return `${columns[pair.class]} taken for ${columns[pair.answer]}: ${pair.count}`;
}

async function showPair(box, run, pair) {
  const asked = (box.asked = pair);
  let addresses;
  try {
    addresses = await source.pictures(run.name, pair.pictures.map(([line]) => line));
  } catch (error) {
    box.replaceChildren(el("p", { class: "bad" }, `No pictures: ${error.message}`));
    return;
  }
  if (box.asked !== asked) return;
  const shown = pair.pictures.filter(([line]) => addresses.has(line));
  const sure = shown.some(([, probability]) => probability !== null);
  const few = shown.length < pair.count ? `; ${shown.length} are shown${sure ? ", the surest answers first" : ""}` : "";
  const pictures = shown.map(([line, probability]) => el("figure", { class: "picture" },
    el("img", { src: addresses.get(line), alt: `picture of line ${line + 1}`, onerror: () => sayWhy(box, addresses.get(line)) }),
    el("figcaption", {}, probability === null ? "" : `p = ${probability.toFixed(2)}`)));
  box.replaceChildren(el("h3", {}, wordsOf(run, pair) + few), el("div", { class: "grid" }, pictures));
}

/** Why a picture is not there, in the server's words. */
async function sayWhy(box, where) {
  const reply = await fetch(where).catch(() => null);
  const why = reply && !reply.ok ? (await reply.text()).trim() : "it is no picture";
  box.replaceChildren(el("p", { class: "bad" }, `No pictures: ${why}`));
}
