// The two thresholds as numbers: their ranges, and how one follows the other. Pure.

const ROOM = 0.05;
const SNAP = 0.004; // shares of a range within which a dragged slider takes the model's value

/** Ranges {boundary, pixel} of {low, start, high}: the first spans all calibration scores, this image's score and the boundaries. */
export function rangesOf({gauge, score, boundary, pixel_threshold: pixel, own, map}) {
  const ends = [gauge.lo, gauge.hi, score, boundary.value, own.boundary.value];
  const [least, most] = [Math.min(...ends), Math.max(...ends)];
  const room = ROOM * (most - least) || 1;
  return {
    boundary: {low: least - room, start: boundary.value, high: most + room},
    pixel: {low: 0, start: pixel, high: (1 + ROOM) * Math.max(map.high, pixel, own.pixel_threshold, 1)},
  };
}

/** Whether both thresholds start where they did for the image before. */
export const sameStart = (before, next) => before.boundary.start === next.boundary.start && before.pixel.start === next.pixel.start;

/** The ranges, made to hold `values`, which were moved on another image. */
export function reaching(ranges, values) {
  const wide = name => ({...ranges[name], low: Math.min(ranges[name].low, values[name]), high: Math.max(ranges[name].high, values[name])});
  return {boundary: wide('boundary'), pixel: wide('pixel')};
}

/** Where the other slider stands when linked: the same share of the way from the model's value to the end on that side. */
export function linked(value, from, to) {
  const side = value < from.start ? 'low' : 'high';
  const way = from[side] - from.start;
  return way ? to.start + ((value - from.start) / way) * (to[side] - to.start) : to.start;
}

/** The value kept inside its range; the model's where it is as good as there. */
export function settled(value, {low, start, high}) {
  return Math.abs(value - start) < SNAP * (high - low) ? start : within(value, {low, high});
}

/** The value kept inside its range. */
export const within = (value, {low, high}) => Math.min(Math.max(value, low), high);
