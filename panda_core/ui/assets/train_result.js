// What came of a training: the boundary, what was measured, the comparison with the model it came from, and whether to keep it.

import {duration} from './train_words.js';
import {node, number, percent, served} from './text.js';
import {SOURCES} from './words.js';

/** Draw into `place`; `keep(button, name)` when a person wants the model. */
export function drawResult(place, facts, {keep}) {
  const parts = [...sentences(facts)].map(textContent => node('p', {textContent}));
  if (facts.changed?.length) parts.push(images(facts.changed));
  parts.push(facts.accepted ? node('p', {className: 'kept', textContent: `Kept as “${facts.accepted.model}”. Choose it in the list of models to inspect with it.` }) : question(facts.name, keep));
  place.replaceChildren(...parts);
}

function* sentences({data, done, compared, metrics = []}) {
  if (data) yield `Trained on ${data.train} images in ${duration(done.seconds)}; ${data.validation} held out to calibrate with. Boundary ${SOURCES[done.boundary_kind] || done.boundary_kind}.`;
  for (const one of metrics) {
    const interval = one.auroc_ci.map(end => end.toFixed(3)).join(' and ');
    yield `Measured on ${one.data} (${one.normal} normal, ${one.anomalous} anomalous): AUROC ${one.auroc.toFixed(3)}, 95 % between ${interval}; colour statistics alone reach ${one.trivial_auroc?.toFixed(3) ?? '–'}.`;
    if (one.auroc_ci[0] <= 0.5) yield `With ${one.normal + one.anomalous} test images that cannot be told from guessing. More images, more steps or another preset may help; so may a closer camera.`;
  }
  if (!compared) return;
  yield `Beside “${compared.parent}”: false alarms on ${compared.normal} held-out normal images: ${compared.parent_false_alarms} → ${compared.false_alarms}.`;
  if (compared.anomalous) yield `Missed of ${compared.anomalous} known anomalies: ${compared.parent_misses} → ${compared.misses}.`;
  yield 'These images have calibrated the new model, so they flatter it. Images that neither has seen tell more.';
  if (compared.test) yield besideOnTest(compared.test);
}

// What the labelled test images say of both models.
function besideOnTest(test) {
  const [low, high] = test.gain_ci;
  const found = low > 0 ? 'The new model tells them apart better' : high < 0 ? 'The new model tells them apart worse; consider keeping the old one' : 'They do not show which of the two is better';
  return `On the folder’s test images, which this training has not used: AUROC ${test.parent_auroc.toFixed(3)} → ${test.auroc.toFixed(3)}, false alarms ${percent(test.parent_false_alarm_rate)} → ${percent(test.false_alarm_rate)}, missed ${percent(test.parent_miss_rate)} → ${percent(test.miss_rate)}. ${found} (difference in AUROC ${signed(test.gain)}, 95 % between ${signed(low)} and ${signed(high)}).`;
}

const signed = value => number(value, {sign: true});

// Held-out images on which the two models differ, each with who is right.
function images(changed) {
  const figures = changed.map(one => {
    const picture = one.picture ? node('img', {src: served(one.picture), alt: '', loading: 'lazy'}) : node('i');
    const caption = node('figcaption', {}, node('b', {textContent: one.name, title: one.name}), node('span', {textContent: verdict(one)}), node('span', {textContent: `score ${number(one.before)} → ${number(one.after)}`}));
    return node('figure', {className: one.better ? 'better' : 'worse'}, picture, caption);
  });
  return node('section', {className: 'train-pictures'}, node('h3', {textContent: 'Judged differently than before'}), node('div', {}, ...figures));
}

function verdict({kind, better}) {
  if (kind === 'normal') return better ? '✓ no false alarm any more' : '✕ a new false alarm';
  return better ? '✓ an anomaly found now' : '✕ an anomaly missed now';
}

function question(name, keep) {
  const input = node('input', {type: 'text', value: name, maxLength: 60, ariaLabel: 'Name of the model'});
  const button = node('button', {type: 'submit', textContent: 'Keep this model'});
  const form = node('form', {className: 'keep'}, input, button);
  form.addEventListener('submit', event => { event.preventDefault(); keep(button, input.value); });
  return form;
}
