// Connected regions of a map above a threshold, as panda_core.scoring.maps.regions finds them: 8-connected, specks dropped,
// strongest peak first. Works on runs (stretches of a row above the threshold), so that it can follow a slider.

const SPECK_SHARE = 10_000;
const SPECK_PIXELS = 4;

/** Largest 16-bit level of `grid` that is not above `threshold`; -1 if all are above. */
export function levelOf(grid, threshold) {
  return Math.max(-1, Math.min(65535, Math.floor((threshold - grid.low) / grid.step)));
}

/** A finder with memory of its own: find(grid, threshold) -> {grid, mask, share, regions, runs}; the next call overwrites mask and runs. */
export function createFinder() {
  let runs = {start: new Int32Array(4096), end: new Int32Array(4096), parent: new Int32Array(4096), count: 0};
  let mask = new Uint8Array(0);

  return function find(grid, threshold) {
    runs.count = 0;
    collect(grid, levelOf(grid, threshold), runs);
    const regions = measure(grid, runs);
    if (mask.length !== grid.data.length) mask = new Uint8Array(grid.data.length);
    const marked = fill(mask, runs, regions);
    return {grid, mask, share: marked / mask.length, regions, runs};
  };
}

/** Position in `regions` of the region that holds a pixel of the grid (flat index); -1 outside of all. */
export function regionAt({runs, regions}, index) {
  let low = 0;
  let high = runs.count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (runs.start[middle] <= index) low = middle; else high = middle - 1;
  }
  if (!runs.count || index < runs.start[low] || index >= runs.end[low]) return -1;
  return regions.findIndex(region => region.root === runs.parent[low]);
}

/** The regions in pixels of the original image of `width` x `height`; areas grow with both scales, values stay. */
export function toOriginal(regions, grid, {width, height}) {
  const x = width / grid.width;
  const y = height / grid.height;
  return regions.map(({area, box, peak, mean, peakAt}) => ({
    area: Math.round(area * x * y),
    box: [Math.round(box[0] * x), Math.round(box[1] * y), Math.round(box[2] * x), Math.round(box[3] * y)],
    peak,
    mean,
    peakAt: [Math.round(peakAt[0] * x), Math.round(peakAt[1] * y)],
  }));
}

// All runs in reading order, each joined with those it touches in the row before.
function collect({data, width, height}, level, runs) {
  let before = 0;
  let row = 0;
  for (let y = 0; y < height; y++) {
    const stop = (y + 1) * width;
    let at = y * width;
    while (at < stop) {
      while (at < stop && data[at] <= level) at++;
      const start = at;
      while (at < stop && data[at] > level) at++;
      if (at > start) add(runs, start, at);
    }
    join(runs, before, row, width);
    before = row;
    row = runs.count;
  }
  // A run's parent is never after it, so one pass in order leaves every run pointing at its root.
  for (let i = 0; i < runs.count; i++) runs.parent[i] = runs.parent[runs.parent[i]];
}

function add(runs, start, end) {
  const {count} = runs;
  if (count === runs.start.length) grow(runs);
  runs.start[count] = start;
  runs.end[count] = end;
  runs.parent[count] = count;
  runs.count++;
}

function grow(runs) {
  for (const name of ['start', 'end', 'parent']) {
    const larger = new Int32Array(2 * runs[name].length);
    larger.set(runs[name]);
    runs[name] = larger;
  }
}

// Two rows of runs side by side; `<=` on both ends because diagonal neighbours touch, too.
function join(runs, before, row, width) {
  const {start, end, parent, count} = runs;
  let above = before;
  for (let here = row; here < count; here++) {
    const from = start[here] - width;
    const to = end[here] - width;
    while (above < row && end[above] < from) above++;
    for (let other = above; other < row && start[other] <= to; other++) unite(parent, other, here);
  }
}

function unite(parent, a, b) {
  const first = rootOf(parent, a);
  const second = rootOf(parent, b);
  if (first < second) parent[second] = first; else parent[first] = second;
}

function rootOf(parent, at) {
  while (parent[at] !== at) {
    parent[at] = parent[parent[at]];
    at = parent[at];
  }
  return at;
}

// Area, box, peak and mean of each region, without specks, strongest peak first.
function measure(grid, {start, end, parent, count}) {
  const {data, width, low, step} = grid;
  const found = new Map();
  for (let i = 0; i < count; i++) {
    const y = Math.floor(start[i] / width);
    const x0 = start[i] - y * width;
    const x1 = end[i] - y * width;
    let region = found.get(parent[i]);
    if (!region) found.set(parent[i], region = {root: parent[i], area: 0, x0, x1, y0: y, y1: y, sum: 0, level: -1, place: 0});
    region.area += x1 - x0;
    region.x0 = Math.min(region.x0, x0);
    region.x1 = Math.max(region.x1, x1);
    region.y1 = y;
    for (let at = start[i]; at < end[i]; at++) {
      region.sum += data[at];
      if (data[at] > region.level) { region.level = data[at]; region.place = at; }
    }
  }
  const least = Math.max(SPECK_PIXELS, Math.floor(data.length / SPECK_SHARE));
  return [...found.values()].filter(({area}) => area >= least).sort((a, b) => b.level - a.level).map(region => ({
    root: region.root,
    area: region.area,
    box: [region.x0, region.y0, region.x1, region.y1 + 1],
    peak: low + region.level * step,
    mean: low + (region.sum / region.area) * step,
    peakAt: [region.place % width, Math.floor(region.place / width)],
  }));
}

// 1 in every region that is kept, 0 elsewhere; returns how many pixels that is.
function fill(mask, {start, end, parent, count}, regions) {
  const kept = new Set(regions.map(({root}) => root));
  let marked = 0;
  mask.fill(0);
  for (let i = 0; i < count; i++) {
    if (!kept.has(parent[i])) continue;
    mask.fill(1, start[i], end[i]);
    marked += end[i] - start[i];
  }
  return marked;
}
