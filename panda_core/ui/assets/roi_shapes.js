// Shapes of a region of interest, in shares of the picture: {kind: 'rectangle' | 'polygon', mode: 'include' | 'exclude', points: [[x, y], ...]}.
// Pure: every change gives a new shape. panda_core/roi.py reads the same form.

const MOST_POINTS = 400;
const LEAST_SIDE = 0.004; // smaller drawings are slips of the hand
const TOLERANCE = 0.0015; // by which a thinned line may leave the drawn one

const clip = value => Math.min(Math.max(value, 0), 1);
const round = value => Math.round(clip(value) * 1e5) / 1e5;
const rounded = points => points.map(point => point.map(round));

/** The rectangle between two corners; null if it is too small to be meant. */
export function rectangle(mode, [ax, ay], [bx, by]) {
  const points = rounded([[Math.min(ax, bx), Math.min(ay, by)], [Math.max(ax, bx), Math.max(ay, by)]]);
  return points[1][0] - points[0][0] < LEAST_SIDE || points[1][1] - points[0][1] < LEAST_SIDE ? null : {kind: 'rectangle', mode, points};
}

/** The closed shape of a drawn line; null if it is too small to be meant. */
export function polygon(mode, line) {
  let points = thinned(line, TOLERANCE);
  for (let tolerance = 2 * TOLERANCE; points.length > MOST_POINTS; tolerance *= 2) points = thinned(line, tolerance);
  const [width, height] = [0, 1].map(axis => extent(points, axis));
  return points.length < 3 || Math.max(width, height) < LEAST_SIDE || area(points) < LEAST_SIDE ** 2 ? null : {kind: 'polygon', mode, points: rounded(points)};
}

/** The shape moved, as far as it stays in the picture. */
export function moved(shape, dx, dy) {
  const by = [dx, dy].map((distance, axis) => {
    const values = shape.points.map(point => point[axis]);
    return Math.min(Math.max(distance, -Math.min(...values)), 1 - Math.max(...values));
  });
  return {...shape, points: rounded(shape.points.map(point => point.map((value, axis) => value + by[axis])))};
}

/** The shape stretched from its upper left corner; itself where it would vanish or leave the picture. */
export function stretched(shape, dx, dy) {
  const start = [0, 1].map(axis => Math.min(...shape.points.map(point => point[axis])));
  const size = [0, 1].map(axis => extent(shape.points, axis));
  const after = [size[0] + dx, size[1] + dy];
  if (after.some((length, axis) => length < LEAST_SIDE || start[axis] + length > 1)) return shape;
  return {...shape, points: rounded(shape.points.map(point => point.map((value, axis) => start[axis] + ((value - start[axis]) * after[axis]) / size[axis])))};
}

/** Corners in order, also of a rectangle. */
export function corners({kind, points}) {
  if (kind !== 'rectangle') return points;
  const [[x0, y0], [x1, y1]] = points;
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

function extent(points, axis) {
  const values = points.map(point => point[axis]);
  return Math.max(...values) - Math.min(...values);
}

function area(points) {
  return Math.abs(points.reduce((sum, [x, y], i) => { const [nx, ny] = points[(i + 1) % points.length]; return sum + x * ny - nx * y; }, 0)) / 2;
}

// Keep the ends and whatever lies farther than `tolerance` from the line between kept points, without recursion: lines can be long.
function thinned(line, tolerance) {
  if (line.length < 3) return line;
  const kept = new Set([0, line.length - 1]);
  const open = [[0, line.length - 1]];
  while (open.length) {
    const [from, to] = open.pop();
    let [far, at] = [tolerance, -1];
    for (let i = from + 1; i < to; i++) {
      const away = distance(line[i], line[from], line[to]);
      if (away > far) [far, at] = [away, i];
    }
    if (at < 0) continue;
    kept.add(at);
    open.push([from, at], [at, to]);
  }
  return line.filter((_, i) => kept.has(i));
}

function distance([px, py], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const t = length ? clip(((px - ax) * dx + (py - ay) * dy) / length) : 0;
  return Math.hypot(px - ax - t * dx, py - ay - t * dy);
}
