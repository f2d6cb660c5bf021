"use strict";
// Which view is shown, and keeping it fresh.

const REFRESH = 2000; // milliseconds between looks
const HURRY = 150; // while the server still reads metrics

let view = null;
let shownAddress = null;
let timer = 0;
let busy = false;

function makeView() {
  const { view: name, query } = address();
  const root = document.getElementById("view");
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.hash === `#${name}` || (name === "run" && link.hash === "#runs");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  root.replaceChildren();
  if (name === "run" && query.has("run")) return new RunPage(root, [...new Set(query.getAll("run"))]);
  if (name === "leaderboard") return new Leaderboard(root);
  if (name === "actions") return new ActionsPage(root);
  return new RunTable(root);
}

async function refresh() {
  clearTimeout(timer);
  if (busy) return;
  busy = true;
  const note = document.getElementById("note");
  let wait = REFRESH;
  try {
    const table = await source.table();
    document.getElementById("folder").textContent = table.folder;
    document.getElementById("actions_link").hidden = !mayAct();
    const changed = shownAddress !== location.hash;
    if (changed) {
      shownAddress = location.hash;
      view = makeView();
    }
    await view.update(table);
    if (changed) document.title = `${address().query.get("run") ?? "runs"} — jaxbio board`;
    note.textContent = "";
    if (table.reading) wait = HURRY;
  } catch (error) {
    const lost = error instanceof TypeError && error.message.includes("fetch");
    note.textContent = lost ? "no answer: has the board ended?" : error.message;
    if (!lost && !(error.message)) throw error;
  }
  busy = false;
  if (shownAddress !== location.hash) return refresh();
  if (!source.exported) timer = setTimeout(refresh, document.hidden ? 5 * REFRESH : wait);
}

keepToken();
addEventListener("hashchange", refresh);
addEventListener("visibilitychange", () => !document.hidden && refresh());
addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) {
    document.querySelector("input[type=search]")?.focus();
    event.preventDefault();
  }
});
refresh();
