// The curves of a training. Plotly keeps its node and a person's zoom; nothing is drawn when nothing is new or nobody looks.

import {loadPlotly} from './plotly.js';
import {termWord} from './train_words.js';

const MARGIN = {l: 46, r: 8, t: 6, b: 22};
const CONFIG = {displayModeBar: false, responsive: true, doubleClick: 'reset'};
const MOST = 800; // points of one curve; above, it is thinned to half of them
const MOST_OPINIONS = 160;
const WATCHED = new Set(['critic.L_C', 'critic.accuracy']); // shown on request: not what is descended
const ELSEWHERE = new Set(['critic.C_x', 'critic.C_rec']); // the other chart shows them, on held-out images
const SMOOTH_FROM = 60; // points from which on a running mean is drawn over the curve
const WINDOW = 0.04; // its width, as a share of the points
const PALETTE = ['#4d7fc4', '#d08a2e', '#2f9e77', '#b5579c', '#7a6fd0', '#c2564b', '#5aa5b5', '#8a8f3c', '#7f7f7f', '#e07ab0', '#a0703c'];
const SIDES = [['x', 'images', PALETTE[0]], ['rec', 'reconstructions', PALETTE[1]]];

/**
 * {add(curves, opinions), clear(), setLog(on)}; the figures around `losses` and `critic` are hidden while they have nothing to show.
 * curves: {name: [steps, values]}; opinions: [{step, x, rec}], each with five quantiles of the critic's logits.
 */
export function createCharts(losses, critic) {
  const charts = {losses: {place: losses, due: 0, draw: drawLosses}, critic: {place: critic, due: 0, draw: drawCritic}};
  let terms, opinions, log = true, serial = 0;

  function clear() {
    terms = new Map();
    opinions = [];
    serial += 1;
    schedule('losses');
    schedule('critic');
  }

  function add(curves, looks) {
    for (const [name, points] of Object.entries(curves)) terms.set(name, extend(terms.get(name) || [[], []], points));
    for (const look of looks) {
      while (opinions.length && opinions[opinions.length - 1].step >= look.step) opinions.pop();
      opinions.push(look);
    }
    if (opinions.length > MOST_OPINIONS) opinions = opinions.filter((_, at) => (opinions.length - 1 - at) % 2 === 0);
    if (Object.keys(curves).length) schedule('losses');
    if (looks.length) schedule('critic');
  }

  function schedule(name) {
    const chart = charts[name];
    chart.place.closest('figure').hidden = name === 'losses' ? !terms.size : !opinions.length;
    cancelAnimationFrame(chart.due);
    chart.due = requestAnimationFrame(chart.draw);
  }

  async function drawLosses() {
    const yaxis = {type: log ? 'log' : 'linear', uirevision: `${serial} ${log}`, ...(log ? {dtick: 1, exponentformat: 'power'} : {})};
    await draw(losses, () => curvesOf(terms), {uirevision: serial, yaxis, showlegend: true});
  }

  async function drawCritic() {
    await draw(critic, () => SIDES.flatMap(side => bands(opinions, ...side)), {uirevision: serial, yaxis: {zeroline: true}, showlegend: true});
  }

  new MutationObserver(() => { schedule('losses'); schedule('critic'); }).observe(document.body, {attributeFilter: ['class']});
  for (const name of Object.keys(charts)) new ResizeObserver(() => schedule(name)).observe(charts[name].place);
  clear();
  return {add, clear, setLog: on => { log = on; schedule('losses'); }};
}

async function draw(place, traces, options) {
  if (!place.isConnected || place.offsetParent === null) return;
  const plotly = await loadPlotly();
  if (plotly) plotly.react(place, traces(), layout(place, options), CONFIG);
}

// A step that was done again after a kill takes the place of the one before.
function extend([steps, values], [newSteps, newValues]) {
  while (steps.length && steps[steps.length - 1] >= newSteps[0]) { steps.pop(); values.pop(); }
  steps.push(...newSteps);
  values.push(...newValues);
  return steps.length > MOST ? thin(steps, values, MOST / 2) : [steps, values];
}

// Of each stretch the lowest and the highest point, as the server does: no peak is lost.
function thin(steps, values, most) {
  const kept = new Set([0, steps.length - 1]);
  const stretch = (2 * steps.length) / most;
  for (let from = 0; from < steps.length; from += stretch) {
    let low = Math.floor(from), high = low;
    for (let at = low; at < Math.min(Math.floor(from + stretch), steps.length); at += 1) {
      if (values[at] < values[low]) low = at;
      if (values[at] > values[high]) high = at;
    }
    kept.add(low).add(high);
  }
  const order = [...kept].sort((a, b) => a - b);
  return [order.map(at => steps[at]), order.map(at => values[at])];
}

// One colour and one line of the legend for a term, also where warm-up and game both have it.
function curvesOf(terms) {
  const colours = new Map();
  return [...terms].filter(([name]) => !ELSEWHERE.has(name)).flatMap(([name, [x, y]]) => {
    const word = termWord(name);
    const first = !colours.has(word);
    if (first) colours.set(word, PALETTE[colours.size % PALETTE.length]);
    const [phase] = name.split('.');
    const dash = {critic: 'dot', 'held out': 'dash'}[phase] || 'solid';
    const one = {type: 'scatter', mode: 'lines', x, name: word, legendgroup: word, visible: WATCHED.has(name) ? 'legendonly' : true};
    const main = {...one, y, showlegend: first, line: {width: 1.6, dash, color: colours.get(word)}, hovertemplate: `%{y:.4g}<extra>${word}</extra>`};
    if (x.length < SMOOTH_FROM) return [{...main, mode: x.length < 3 ? 'lines+markers' : 'lines'}];
    return [{...one, y, showlegend: false, opacity: 0.25, line: {width: 1, color: colours.get(word)}, hoverinfo: 'skip'}, {...main, y: runningMean(y)}];
  });
}

function runningMean(values) {
  const half = Math.max(1, Math.round((WINDOW * values.length) / 2));
  const sums = [0];
  for (const value of values) sums.push(sums[sums.length - 1] + value);
  return values.map((_, at) => {
    const from = Math.max(0, at - half), to = Math.min(values.length, at + half + 1);
    return (sums[to] - sums[from]) / (to - from);
  });
}

// Nine in ten values in the light band, half of them in the strong one, the median as a line.
function bands(opinions, key, name, color) {
  const x = opinions.map(look => look.step);
  const edge = (at, extra) => ({type: 'scatter', mode: 'lines', x, y: opinions.map(look => look[key][at]), line: {width: 0, color}, hoverinfo: 'skip', legendgroup: name, showlegend: false, ...extra});
  return [
    edge(0, {}), edge(4, {fill: 'tonexty', fillcolor: `${color}26`}), edge(1, {}), edge(3, {fill: 'tonexty', fillcolor: `${color}59`}),
    edge(2, {name, mode: x.length < 3 ? 'lines+markers' : 'lines', line: {width: 1.8, color}, showlegend: true, hoverinfo: 'all', hovertemplate: `median %{y:.2f}<extra>${name}</extra>`}),
  ];
}

function layout(element, {yaxis, ...rest}) {
  const style = getComputedStyle(element);
  const colour = name => style.getPropertyValue(name).trim();
  const soft = colour('--body-text-color-subdued');
  const axis = {gridcolor: colour('--border-color-primary'), linecolor: soft, tickcolor: soft, zeroline: false, zerolinecolor: soft};
  return {
    margin: MARGIN, autosize: true, paper_bgcolor: 'transparent', plot_bgcolor: 'transparent', font: {family: style.fontFamily, size: 10.5, color: soft},
    legend: {orientation: 'h', y: -0.1, font: {size: 10.5}, tracegroupgap: 0}, hoverlabel: {font: {size: 11}}, xaxis: axis, yaxis: {...axis, ...yaxis}, ...rest,
  };
}
