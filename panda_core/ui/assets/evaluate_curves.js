// ROC and precision-recall curves of all measured models; the chosen one is bold, with a dot where the boundary stands.

import {loadPlotly} from './plotly.js';

const COLOURS = ['#4d7fc4', '#d08a2e', '#2f9e77', '#b5579c', '#7a6fd0', '#c2564b', '#5aa5b5', '#8a8f3c', '#7f7f7f'];
const CONFIG = {displayModeBar: false, responsive: true, doubleClick: 'reset'};

/** Colour of the n-th model, in all charts and tables. */
export const colourOf = at => COLOURS[at % COLOURS.length];

/** {show(results, chosen), place({roc, pr})}: results as the server gives them, the chosen one's index, points of the boundary. */
export function createCurves(roc, pr) {
  const state = {results: [], chosen: 0, at: null, due: 0, serial: 0, moving: 0};

  function schedule() {
    cancelAnimationFrame(state.due);
    state.due = requestAnimationFrame(draw);
  }

  async function draw() {
    if (!state.results.length || roc.offsetParent === null) return;
    const plotly = await loadPlotly();
    if (!plotly) { roc.textContent = pr.textContent = 'The charts could not be loaded; the report has them.'; return; }
    const {results, chosen, at, serial} = state;
    const guess = results[chosen].prevalence;
    plotly.react(roc, [line([[0, 0], [1, 1]], 'guessing'), ...curves(results, chosen, 'roc'), dot(at?.roc)], layout(roc, serial, 'false-alarm rate', 'found'), CONFIG);
    plotly.react(pr, [line([[0, guess], [1, guess]], 'guessing'), ...curves(results, chosen, 'pr'), dot(at?.pr)], layout(pr, serial, 'recall: found', 'precision'), CONFIG);
  }

  /** Only the dot moves: a whole redraw at each tick of a slider would lag behind it. */
  function move() {
    state.moving = 0;
    for (const [chart, point] of [[roc, state.at.roc], [pr, state.at.pr]]) {
      if (chart.data) window.Plotly.restyle(chart, {x: [[point[0]]], y: [[point[1]]]}, [chart.data.length - 1]);
    }
  }

  function show(results, chosen) {
    if (results !== state.results) state.serial += 1;
    Object.assign(state, {results, chosen});
    schedule();
  }

  function place(at) {
    state.at = at;
    state.moving ||= requestAnimationFrame(move);
  }

  new MutationObserver(schedule).observe(document.body, {attributeFilter: ['class']});
  new ResizeObserver(schedule).observe(roc);
  return {show, place};
}

const line = (points, name) => ({
  type: 'scatter', mode: 'lines', name, x: points.map(([x]) => x), y: points.map(([, y]) => y), line: {color: '#8a94a0', width: 1, dash: 'dot'}, hoverinfo: 'skip', showlegend: false,
});

function curves(results, chosen, kind) {
  return results.map((result, at) => ({
    type: 'scatter', mode: 'lines', name: result.title, x: result[kind].map(([x]) => x), y: result[kind].map(([, y]) => y),
    line: {color: colourOf(at), width: at === chosen ? 2.4 : 1.3, shape: kind === 'pr' ? 'vh' : 'linear'},
    hovertemplate: kind === 'roc' ? 'false alarms %{x:.1%}<br>found %{y:.1%}' : 'found %{x:.1%}<br>precision %{y:.1%}',
  }));
}

const dot = point => ({
  type: 'scatter', mode: 'markers', name: 'at the boundary', x: [point?.[0] ?? null], y: [point?.[1] ?? null], showlegend: false,
  marker: {size: 10, color: '#c2564b', line: {color: '#fff', width: 1.5}}, hovertemplate: 'at the boundary<extra></extra>',
});

function layout(element, uirevision, x, y) {
  const style = getComputedStyle(element);
  const colour = name => style.getPropertyValue(name).trim();
  const soft = colour('--body-text-color-subdued');
  const axis = text => ({title: {text, standoff: 6, font: {size: 11}}, range: [-0.02, 1.02], gridcolor: colour('--border-color-primary'), linecolor: soft, tickcolor: soft, zeroline: false, nticks: 6});
  return {
    margin: {l: 46, r: 10, t: 6, b: 40}, autosize: true, paper_bgcolor: 'transparent', plot_bgcolor: 'transparent', uirevision, showlegend: true,
    font: {family: style.fontFamily, size: 10.5, color: soft}, hoverlabel: {font: {size: 11}}, legend: {orientation: 'h', y: -0.2, font: {size: 10.5}}, xaxis: axis(x), yaxis: axis(y),
  };
}
