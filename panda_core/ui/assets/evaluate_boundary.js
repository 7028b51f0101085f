// What a boundary does to the measured images: histogram, slider, confusion. All in the browser; the server is never asked.

import {createThreshold} from './batch_threshold.js';
import {confusion, wilson} from './evaluate_rates.js';
import {createPlot} from './plot.js';
import {node, number, percent} from './text.js';

const ROOM = 0.04; // of the range of scores, beyond it

/** {show(result, kinds)}: a measured model and its scores by class. `onMove(boundary, counts)` at every tick and at once. */
export function createBoundary(root, {onMove}) {
  const find = selector => root.querySelector(selector);
  const plot = createPlot({what: 'Scores of the measured images'});
  const state = {result: null, kinds: null};
  const threshold = createThreshold(root, 'boundary', {onMove: judge, onSet: () => {}});
  const slider = find('input[type=range]');
  find('.evaluate-plot').replaceChildren(plot.element);
  find('.evaluate-reset').addEventListener('click', () => { threshold.reset(); judge(); });

  function show(result, kinds) {
    state.result = null; // the slider says at once where it stands, before there is something to judge
    const ends = [result.boundary, ...result.scores];
    const [least, most] = [ends.reduce((a, b) => Math.min(a, b)), ends.reduce((a, b) => Math.max(a, b))];
    const room = ROOM * (most - least) || 1;
    threshold.clear();
    threshold.prepare({own: result.boundary, low: least - room, high: most + room});
    Object.assign(state, {result, kinds});
    const scores = list => ({scores: list, count: list.length, mean: 0, sd: 0});
    plot.show({normal: scores(kinds.normal), anomalous: scores(kinds.anomalous), range: [Number(slider.min), Number(slider.max)], score: null, model: result.model});
    judge();
  }

  function judge() {
    const boundary = threshold.value();
    if (boundary === null || !state.result) return;
    const counts = confusion(state.kinds, boundary);
    find('.evaluate-reset').disabled = threshold.isOwn();
    find('.evaluate-said').textContent = threshold.isOwn()
      ? `The model’s own boundary, ${state.result.said}`
      : `The model’s own boundary is ${number(state.result.boundary)}.`;
    find('.evaluate-confusion').replaceChildren(...matrix(counts));
    plot.place(boundary);
    onMove(boundary, counts);
  }

  return {show};
}

function matrix({hits, misses, alarms, passed}) {
  const head = node('tr', {}, node('td'), cell('th', 'called anomalous'), cell('th', 'called normal'));
  const rows = [
    node('tr', {}, cell('th', 'anomalous'), count(hits, 'right'), count(misses, 'wrong')),
    node('tr', {}, cell('th', 'normal'), count(alarms, 'wrong'), count(passed, 'right')),
  ];
  const facts = [['False alarms', alarms, alarms + passed, 'normal'], ['Misses', misses, hits + misses, 'anomalous']];
  return [
    node('table', {ariaLabel: 'Confusion matrix at the boundary'}, head, ...rows),
    node('dl', {}, ...facts.flatMap(([name, wrong, total, kind]) => {
      const [low, high] = wilson(wrong, total);
      return [node('dt', {textContent: name}), node('dd', {}, node('b', {textContent: percent(wrong / total)}), ` ${wrong} of ${total} ${kind} images; 95 % interval ${percent(low)} to ${percent(high)}`)];
    })),
  ];
}

const cell = (tag, textContent) => node(tag, {textContent});

function count(value, tone) {
  const made = cell('td', value.toLocaleString('en'));
  made.dataset.tone = value ? tone : 'none';
  return made;
}
