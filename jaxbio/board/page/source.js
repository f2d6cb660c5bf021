"use strict";
// Where data comes from: the server of this page, or scripts beside it in an export.

const delivered = new Map(); // of an export
const arrivals = new Map(); // what is waited for
const answered = new Map(); // address: what the server said last

/** Called by the scripts of an export. */
function deliver(what, value) {
  delivered.set(what, value);
  arrivals.get(what)?.();
}

const source = {
  get exported() {
    return delivered.has("table");
  },
  /** All runs. The same object as long as nothing has changed. */
  table() {
    return this.exported ? delivered.get("table") : ask("api/table");
  },
  run(name) {
    return this.exported ? fetched(name, "run", "") : ask(`api/run?run=${encodeURIComponent(name)}`);
  },
  /** {SPLIT/KEY: [steps, values]} between two steps. */
  async curves(name, from = 0, to = 2 ** 31) {
    if (!this.exported) {
      return ask(`api/curves?run=${encodeURIComponent(name)}&from=${from}&to=${to}`);
    }
    return fetched(name, "curves", "_curves");
  },
  /** The address of a picture or page of a run. */
  file(name, file) {
    if (this.exported) return `files/${delivered.get("table").numbers[name]}/${file.name}`;
    const query = new URLSearchParams({ run: name, name: file.name, v: file.version });
    return `file?${query}`;
  },
  /** Addresses of pictures that a run gets wrong, by their line; an export has some of them. */
  async pictures(name, lines) {
    if (!this.exported) {
      return new Map(lines.map((line) => [line, `picture?${new URLSearchParams({ run: name, line })}`]));
    }
    const held = await fetched(name, "pictures", "_pictures");
    const found = lines.filter((line) => line in held);
    if (!found.length) throw new Error("this export holds none of them");
    return new Map(found.map((line) => [line, held[line]]));
  },
};

async function ask(where) {
  const known = answered.get(where);
  const headers = known ? { "If-None-Match": known.tag } : {};
  const reply = await fetch(where, { headers, cache: "no-store" });
  if (reply.status === 304) return known.value;
  if (!reply.ok) throw new Error((await reply.text()).trim());
  const value = await reply.json();
  if (answered.size > 400) answered.clear();
  answered.set(where, { tag: reply.headers.get("ETag"), value });
  return value;
}

/** Loads a script of an export, once. */
function fetched(name, what, suffix) {
  const key = `${what}:${name}`;
  if (delivered.has(key)) return Promise.resolve(delivered.get(key));
  const number = delivered.get("table").numbers[name];
  return new Promise((done, failed) => {
    if (number === undefined) return failed(new Error(`there is no run '${name}' here`));
    arrivals.set(key, () => done(delivered.get(key)));
    const missing = () => failed(new Error(`data/${number}${suffix}.js is missing`));
    document.head.append(el("script", { src: `data/${number}${suffix}.js`, onerror: missing }));
  });
}
