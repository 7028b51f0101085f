// How far what is marked and the true mask agree. Counted by runs and sums, not by pixels, so that it can follow a slider.

const SUMS = new WeakMap(); // true mask -> its sums at each size that was asked for

/**
 * {iou, hit, beside} of what regions.js found and a true mask (a grid of 0 and 1 of any size): intersection over union; the share of
 * the true mask that is marked; the share of what is marked that lies outside it. null where there is nothing to take a share of.
 */
export function overlap({grid, regions, runs}, truth) {
  const sums = sumsOf(truth, grid);
  const kept = new Set(regions.map(({root}) => root));
  let both = 0;
  for (let i = 0; i < runs.count; i++) if (kept.has(runs.parent[i])) both += sums[runs.end[i]] - sums[runs.start[i]];
  const marked = regions.reduce((sum, {area}) => sum + area, 0);
  const wanted = sums[sums.length - 1];
  const share = (part, whole) => (whole ? part / whole : null);
  return {iou: share(both, marked + wanted - both), hit: share(both, wanted), beside: share(marked - both, marked)};
}

// sums[i]: how many of the first i pixels of `grid`, in reading order, lie in the true mask.
function sumsOf(truth, {width, height}) {
  if (!SUMS.has(truth)) SUMS.set(truth, new Map());
  const known = SUMS.get(truth);
  const key = `${width} ${height}`;
  if (!known.has(key)) known.set(key, sumUp(truth, width, height));
  return known.get(key);
}

function sumUp(truth, width, height) {
  const sums = new Uint32Array(width * height + 1);
  const columns = Int32Array.from({length: width}, (_, x) => Math.floor(((x + 0.5) * truth.width) / width));
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * truth.height) / height) * truth.width;
    for (let x = 0; x < width; x++, at++) sums[at + 1] = sums[at] + truth.data[row + columns[x]];
  }
  return sums;
}
