// What a boundary does to labelled scores. Pure: arrays in, counts out.

/** Scores of one model by label: {normal, anomalous, defects: [scores of each]}, all ascending. */
export function classes({scores, labels, defects}) {
  const of = keep => scores.filter((_, at) => keep(labels[at])).sort((a, b) => a - b);
  return {normal: of(label => label < 0), anomalous: of(label => label >= 0), defects: defects.map((_, place) => of(label => label === place))};
}

/** How many of these scores lie above the boundary. */
export const above = (scores, boundary) => scores.reduce((count, score) => count + (score > boundary), 0);

/** {hits, misses, alarms, passed}: anomalous called so and not, normal called anomalous and not. */
export function confusion({normal, anomalous}, boundary) {
  const [hits, alarms] = [above(anomalous, boundary), above(normal, boundary)];
  return {hits, misses: anomalous.length - hits, alarms, passed: normal.length - alarms};
}

/** 95 % interval [low, high] of a share, count of total (Wilson): an honest one where nothing was wrong, too. */
export function wilson(count, total) {
  const z = 1.96;
  const share = count / total;
  const middle = share + (z * z) / (2 * total);
  const half = z * Math.sqrt((share * (1 - share)) / total + (z * z) / (4 * total * total));
  const clip = value => Math.min(1, Math.max(0, value / (1 + (z * z) / total)));
  return [clip(middle - half), clip(middle + half)];
}

/** {roc: [false-alarm rate, detection rate], pr: [recall, precision]} of counts; precision is null where nothing is called anomalous. */
export function places({hits, misses, alarms, passed}) {
  const found = hits / (hits + misses);
  return {roc: [alarms / (alarms + passed), found], pr: [found, hits + alarms ? hits / (hits + alarms) : null]};
}
