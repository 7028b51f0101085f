// The curves of a training. Plotly keeps its node and a person's zoom; nothing is drawn when nothing is new or nobody looks.

import {loadPlotly} from './plotly.js';

const MARGIN = {l: 44, r: 10, t: 6, b: 28};
const CONFIG = {displayModeBar: false, responsive: true, doubleClick: 'reset'};
const WATCHED = new Set(['critic.L_C', 'critic.C_x', 'critic.C_rec', 'critic.accuracy']); // shown on request: not what is descended
const PALETTE = ['#4d7fc4', '#d08a2e', '#2f9e77', '#b5579c', '#7a6fd0', '#c2564b', '#5aa5b5', '#8a8f3c', '#7f7f7f'];

/** {add(steps, validations), clear(), setLog(on)}: steps as {step, "phase.term": value}, validations as {step, recon, critic_x, critic_rec}. */
export function createCharts(losses, critic) {
  let terms, opinions, log = true, due = 0, serial = 0;

  function clear() {
    terms = new Map();
    opinions = [];
    serial += 1;
    schedule();
  }

  function add(steps, validations) {
    for (const event of steps) {
      for (const [name, value] of Object.entries(event)) {
        if (typeof value !== 'number' || !name.includes('.')) continue;
        if (!terms.has(name)) terms.set(name, {x: [], y: []});
        push(terms.get(name), event.step, value);
      }
    }
    for (const event of validations) {
      if (!terms.has('held out: recon')) terms.set('held out: recon', {x: [], y: []});
      push(terms.get('held out: recon'), event.step, event.recon);
      if (event.critic_x) opinions.push(event);
    }
    if (steps.length || validations.length) schedule();
  }

  function schedule() {
    cancelAnimationFrame(due);
    due = requestAnimationFrame(draw);
  }

  async function draw() {
    if (!losses.isConnected || losses.offsetParent === null) return;
    const plotly = await loadPlotly();
    if (!plotly) return;
    plotly.react(losses, curves(terms), layout(losses, {uirevision: serial, xaxis: {title: {text: 'step', standoff: 4}}, yaxis: {type: log ? 'log' : 'linear'}, showlegend: true}), CONFIG);
    plotly.react(critic, opinion(opinions), layout(critic, {uirevision: serial, xaxis: {title: {text: 'step', standoff: 4}}, yaxis: {zeroline: true}, showlegend: true, boxmode: 'group'}), CONFIG);
  }

  new MutationObserver(schedule).observe(document.body, {attributeFilter: ['class']});
  new ResizeObserver(schedule).observe(losses);
  clear();
  return {add, clear, setLog: on => { log = on; schedule(); }};
}

// A step that was done again after a kill takes the place of the one before.
function push({x, y}, step, value) {
  while (x.length && x[x.length - 1] >= step) { x.pop(); y.pop(); }
  x.push(step);
  y.push(value);
}

function curves(terms) {
  return [...terms].map(([name, {x, y}], at) => ({
    type: 'scatter', mode: x.length < 3 ? 'lines+markers' : 'lines', name, x, y, line: {width: name.startsWith('held') ? 2.2 : 1.1, color: PALETTE[at % PALETTE.length], dash: name.startsWith('held') ? 'dot' : 'solid'},
    visible: WATCHED.has(name) ? 'legendonly' : true, hovertemplate: `%{y:.4g}<extra>${name}</extra>`,
  }));
}

function opinion(opinions) {
  const kinds = [['critic_x', 'C(x), held-out image', PALETTE[0]], ['critic_rec', 'C(x′), its reconstruction', PALETTE[1]]];
  return kinds.map(([key, name, color]) => ({
    type: 'box', name, marker: {color, size: 2}, line: {width: 1}, boxpoints: false,
    x: opinions.flatMap(event => event[key].map(() => event.step)), y: opinions.flatMap(event => event[key]),
  }));
}

function layout(element, {xaxis, yaxis, ...rest}) {
  const style = getComputedStyle(element);
  const colour = name => style.getPropertyValue(name).trim();
  const soft = colour('--body-text-color-subdued');
  const axis = {gridcolor: colour('--border-color-primary'), linecolor: soft, tickcolor: soft, zeroline: false, zerolinecolor: soft};
  return {
    margin: MARGIN, autosize: true, paper_bgcolor: 'transparent', plot_bgcolor: 'transparent', font: {family: style.fontFamily, size: 10.5, color: soft},
    legend: {orientation: 'h', y: -0.22, font: {size: 10}}, hoverlabel: {font: {size: 11}}, xaxis: {...axis, ...xaxis}, yaxis: {...axis, ...yaxis}, ...rest,
  };
}
