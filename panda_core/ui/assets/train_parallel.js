// Parallel coordinates of a grid search: an axis for each field that varied, one for each measure. Plotly keeps its node and what was picked.

import {loadPlotly} from './plotly.js';

const CONFIG = {displayModeBar: false, responsive: true};
const SLANT = -25; // degrees of the axes' names where they would touch
const WIDE = 130; // px between two axes from which on they do not
const MEASURES = [['auroc', 'AUROC'], ['separation', 'separation']];

/** {draw(fields, trials)}: `trials` that are done; the figure is hidden while there is none. */
export function createParallel(figure) {
  const place = figure.querySelector('.chart');
  let fields = [], trials = [], due = 0, serial = 0;

  async function paint() {
    if (!trials.length || !place.isConnected || place.offsetParent === null) return;
    const plotly = await loadPlotly();
    if (plotly && trials.length) plotly.react(place, [trace(place, fields, trials)], layout(place, serial, tight(place, fields)), CONFIG);
  }

  function schedule() {
    cancelAnimationFrame(due);
    due = requestAnimationFrame(paint);
  }

  function draw(newFields, done) {
    if (!done.length) serial += 1; // another search: what was picked in this one means nothing there
    [fields, trials] = [newFields, done];
    figure.hidden = !done.length;
    schedule();
  }

  new MutationObserver(schedule).observe(document.body, {attributeFilter: ['class']});
  new ResizeObserver(schedule).observe(place);
  return {draw};
}

function trace(place, fields, trials) {
  const [soft, text] = colours(place, '--body-text-color-subdued', '--body-text-color');
  const dark = document.body.classList.contains('dark');
  const areas = trials.map(trial => trial.auroc);
  const [cmin, cmax] = spread(areas);
  return {
    type: 'parcoords', labelfont: {color: text, size: 12}, tickfont: {color: soft, size: 11}, rangefont: {color: 'rgba(0,0,0,0)', size: 1}, labelside: 'top', labelangle: tight(place, fields) ? SLANT : 0,
    line: {color: areas, cmin, cmax, colorscale: dark ? [[0, '#37527f'], [1, '#8fc1ff']] : [[0, '#b4cbee'], [1, '#0b3d9a']]},
    unselected: {line: {color: soft, opacity: 0.12}},
    dimensions: [...fields.map(field => axisOf(field, trials)), ...MEASURES.map(([key, label]) => ({label, values: trials.map(trial => trial[key]), range: spread(trials.map(trial => trial[key])), tickformat: '.3~f'}))],
  };
}

// Values stand evenly apart, numbers in their order: weights such as 0.001, 0.01, 0.1 would else lie on one another.
function axisOf(field, trials) {
  const values = [...new Set(trials.map(trial => trial.values[field]))];
  if (values.every(value => typeof value === 'number')) values.sort((a, b) => a - b);
  const last = values.length - 1;
  return {label: field.split('.').pop(), values: trials.map(trial => values.indexOf(trial.values[field])), tickvals: values.map((_, at) => at), ticktext: values.map(String), range: last ? [0, last] : [-1, 1]};
}

const tight = (place, fields) => place.clientWidth / (fields.length + MEASURES.length) < WIDE;

function spread(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return high > low ? [low, high] : [low - 0.5, high + 0.5];
}

function layout(place, serial, slanted) {
  const [soft, ground] = colours(place, '--body-text-color-subdued', '--body-background-fill');
  return {margin: slanted ? {l: 40, r: 72, t: 100, b: 18} : {l: 60, r: 60, t: 44, b: 18}, autosize: true, paper_bgcolor: ground, font: {family: getComputedStyle(place).fontFamily, size: 11, color: soft}, uirevision: serial};
}

function colours(place, ...names) {
  const style = getComputedStyle(place);
  return names.map(name => style.getPropertyValue(name).trim());
}
