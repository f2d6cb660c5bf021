"use strict";
// Means over seeds, rank correlation and its bootstrap interval.

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Standard deviation with n - 1; null of one value. */
function deviation(values) {
  if (values.length < 2) return null;
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, v) => sum + (v - centre) ** 2, 0) / (values.length - 1));
}

function meanAndDeviation(values, format = score) {
  const spread = deviation(values);
  return format(mean(values)) + (spread === null ? "" : ` ± ${format(spread)}`);
}

/** Ranks from 1; equal values share their mean rank. */
function ranks(values) {
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]);
  const found = new Array(values.length);
  for (let first = 0; first < order.length; ) {
    let end = first + 1;
    while (end < order.length && values[order[end]] === values[order[first]]) end++;
    for (let i = first; i < end; i++) found[order[i]] = (first + end + 1) / 2;
    first = end;
  }
  return found;
}

function pearson(x, y) {
  const [mx, my] = [mean(x), mean(y)];
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    xy += (x[i] - mx) * (y[i] - my);
    xx += (x[i] - mx) ** 2;
    yy += (y[i] - my) ** 2;
  }
  return xx && yy ? xy / Math.sqrt(xx * yy) : NaN;
}

/** Spearman's rank correlation; NaN where one of them does not vary. */
function spearman(x, y) {
  return pearson(ranks(x), ranks(y));
}

/** Random numbers in [0, 1) that repeat (mulberry32). */
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The 95 % percentile interval of Spearman's correlation, models drawn with replacement. */
function spearmanInterval(x, y, draws = 2000) {
  const random = generator(1);
  const found = [];
  for (let draw = 0; draw < draws; draw++) {
    const chosen = x.map(() => Math.floor(random() * x.length));
    const value = spearman(chosen.map((i) => x[i]), chosen.map((i) => y[i]));
    if (Number.isFinite(value)) found.push(value);
  }
  found.sort((a, b) => a - b);
  if (!found.length) return [NaN, NaN];
  const at = (share) => found[Math.min(found.length - 1, Math.floor(share * found.length))];
  return [at(0.025), at(0.975)];
}
