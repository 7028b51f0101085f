// Sentences of the decision card: pure functions from numbers to [bold, plain] text.
import {number, percent} from './text.js';

/** Names of the errors for people. */
export const ERROR_LABELS = {
  recon: 'Reconstruction',
  adv_x: 'Critic, image',
  adv_rec: 'Critic, reconstruction',
  percept: 'Perceptual distance',
  percept_pooled: 'Perceptual, whole image',
};
/** Where a boundary comes from. */
export const SOURCES = {
  labelled: 'from labelled anomalies',
  synthetic: 'from synthetic anomalies',
  tail: 'from normal images only',
  manual: 'set by hand',
};

const LEAST_SIDE = 32; // px; the smallest size that any preset trains at

const ANOMALIES = {labelled: 'the known anomalies', synthetic: 'the synthetic anomalies drawn into them'};

/** How many normal images score this high, from the conformal p-value and the number of normal calibration images. */
export function rarity(pValue, count) {
  if (pValue * (1 + count) < 1.5) {
    const most = 1 - 0.05 ** (1 / count); // with a larger share, one of them would have scored this high, 95 times in 100
    return [`None of the ${count} normal images that calibrated the model scores this high`, `: less than ${percent(most)} of new ones should.`];
  }
  const bold = 1 / pValue >= 1.95 ? `About 1 in ${(1 / pValue).toFixed(0)} normal images scores this high` : `About ${percent(pValue)} of normal images score this high`;
  return [bold, `, judged by the ${count} that calibrated the model.`];
}

/** What to say of an image too small to judge by; nothing of others. */
export function smallness({width, height}) {
  return Math.min(width, height) < LEAST_SIDE ? [`Only ${width} × ${height} pixels.`, ' So small an image shows little of what the model looks for: do not rely on the verdict.'] : ['', ''];
}

/** Where the boundary comes from: the one in `use`, or one the person has just `moved`; beside either the model's own, if it is another. */
export function origin(use, own, moved) {
  const beside = ` The model’s own is ${number(own.value)}, ${SOURCES[own.kind] || own.kind}.`;
  if (moved) return ['Boundary set by you, not saved.', beside];
  if (use.kind === 'manual') return ['Saved operating point.', ` ${use.reason}.${beside}`];
  return [`Boundary ${SOURCES[use.kind] || use.kind}.`, ` ${use.reason}`];
}

/** What the boundary in use does to the calibration images: shares above it among normal, not above it among anomalous ones of this `source`. */
export function consequence({alarms, misses}, source) {
  const parts = [];
  if (alarms !== null) parts.push(`${percent(alarms)} of the normal calibration images are called anomalous`);
  if (misses !== null) parts.push(`${percent(misses)} of ${ANOMALIES[source] || 'the anomalous ones'} are missed`);
  return parts.length ? ['', `Here ${parts.join(' and ')}.`] : ['', ''];
}

/** How what is marked agrees with the true mask, from overlap.js. */
export function agreement({iou, hit, beside}) {
  if (hit === null) return ['The true mask is empty', beside === null ? ', and nothing is marked.' : ': all that is marked lies outside.'];
  const outside = beside === null ? 'Nothing is marked.' : `${percent(hit)} of it is marked; ${percent(beside)} of what is marked lies outside.`;
  return [`IoU ${iou.toFixed(2)} with the true mask.`, ` ${outside}`];
}

/** Shares of ascending scores on the wrong side of a boundary: {alarms, misses}, null without scores. */
export function rates(normal, anomalous, boundary) {
  return {
    alarms: normal.length ? (normal.length - atMost(normal, boundary)) / normal.length : null,
    misses: anomalous.length ? atMost(anomalous, boundary) / anomalous.length : null,
  };
}

// How many of these ascending values are at most `limit`.
function atMost(values, limit) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= limit) low = middle + 1; else high = middle;
  }
  return low;
}
