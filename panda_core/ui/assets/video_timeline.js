// Score over time. Plotly draws the curve when frames come; boundary and playhead are elements of our own on top, because they move
// sixty times a second and Plotly does not.
import {loadPlotly} from './plotly.js';
import {node, number} from './text.js';
import {clock} from './video_player.js';

const MARGIN = {l: 46, r: 12, t: 8, b: 24};
const CONFIG = {displayModeBar: false, responsive: true, doubleClick: 'reset'};
const REDRAW = 400; // milliseconds between two drawings while frames come

/** {show(rows), place(seconds), bound(boundary), clear()}; `onSeek(n)`: a click at frame n. */
export function createTimeline(container, {onSeek}) {
  const chart = node('div', {className: 'timeline-chart'});
  const head = node('i', {className: 'timeline-head', hidden: true});
  const line = node('i', {className: 'timeline-boundary', hidden: true});
  const above = node('i', {className: 'timeline-above', hidden: true});
  const note = node('p', {className: 'timeline-note', textContent: 'The score of each frame appears here.'});
  container.replaceChildren(above, chart, line, head, note);
  const state = {rows: [], seconds: null, boundary: null, plotly: null, drawn: 0, timer: 0, x: null, y: null};

  /** Where a value lies between the margins, 0 to 1. */
  const share = (value, [low, high]) => (value - low) / (high - low);
  const place = () => {
    putHead();
    putLine();
  };
  const putHead = () => {
    const at = state.x && state.seconds !== null ? share(state.seconds, state.x) : -1;
    head.hidden = !(at >= 0 && at <= 1);
    head.style.left = `calc(${MARGIN.l}px + ${at.toFixed(5)} * (100% - ${MARGIN.l + MARGIN.r}px))`;
  };
  const putLine = () => {
    const at = state.y && state.boundary !== null ? share(state.boundary, state.y) : -1;
    line.hidden = !(at >= 0 && at <= 1);
    above.hidden = !state.y || state.boundary === null || at >= 1;
    const top = `calc(${MARGIN.t}px + ${(1 - Math.max(at, 0)).toFixed(5)} * (100% - ${MARGIN.t + MARGIN.b}px))`;
    line.style.top = top;
    above.style.height = `calc(${top} - ${MARGIN.t}px)`;
  };

  async function draw() {
    state.timer = 0;
    state.drawn = performance.now();
    if (!state.rows.length) return;
    state.plotly ??= await loadPlotly();
    if (!state.plotly) { note.textContent = 'The timeline could not be loaded. Reload the page.'; return; }
    note.hidden = true;
    const first = !chart.classList.contains('js-plotly-plot');
    const {data, layout} = figure(state, container);
    await state.plotly.react(chart, data, layout, CONFIG);
    if (first) listen();
    read();
  }

  function listen() {
    chart.on('plotly_click', ({points}) => onSeek(points[0].pointIndex));
    chart.on('plotly_relayout', read);
  }

  function read() {
    [state.x, state.y] = [[...chart.layout.xaxis.range], [...chart.layout.yaxis.range]];
    container.dataset.points = String(state.rows.length);
    place();
  }

  function show(rows) {
    state.rows = rows;
    const wait = Math.max(0, REDRAW - (performance.now() - state.drawn));
    state.timer ||= setTimeout(draw, wait);
  }

  function clear() {
    Object.assign(state, {rows: [], seconds: null, boundary: null, x: null, y: null});
    state.run = (state.run || 0) + 1;
    note.hidden = false;
    if (state.plotly && chart.classList.contains('js-plotly-plot')) state.plotly.purge(chart);
    chart.classList.remove('js-plotly-plot');
    chart.replaceChildren();
    place();
  }

  new ResizeObserver(() => state.x && state.plotly.Plots.resize(chart)).observe(container);
  new MutationObserver(() => state.rows.length && draw()).observe(document.body, {attributeFilter: ['class']});
  return {
    show,
    clear,
    place: seconds => { state.seconds = seconds; putHead(); },
    bound: boundary => { state.boundary = boundary; if (state.y && outside(boundary, state.y)) show(state.rows); putLine(); },
  };
}

const outside = (value, [low, high]) => value < low || value > high;

function figure({rows, boundary, run}, container) {
  const style = getComputedStyle(container);
  const colour = name => style.getPropertyValue(name).trim();
  const soft = colour('--body-text-color-subdued');
  const scores = rows.map(row => row.score);
  const low = Math.min(boundary ?? Infinity, ...extremes(scores));
  const high = Math.max(boundary ?? -Infinity, ...extremes(scores));
  const room = Math.max((high - low) * 0.08, 1e-3);
  const axis = {showgrid: false, zeroline: false, ticks: 'outside', ticklen: 3, tickcolor: soft, linecolor: soft, showline: true};
  const end = Math.max(rows[rows.length - 1].seconds, 0.1);
  return {
    data: [{
      type: 'scatter', mode: rows.length < 400 ? 'lines+markers' : 'lines', x: rows.map(row => row.seconds), y: scores,
      line: {color: colour('--panda-blue') || '#4d7fc4', width: 1.4}, marker: {size: 3.5},
      text: rows.map(row => `${clock(row.seconds)} · frame ${row.index}<br>score ${number(row.score)}`), hovertemplate: '%{text}<extra></extra>',
    }],
    layout: {
      margin: MARGIN, autosize: true, showlegend: false, hovermode: 'x', dragmode: 'zoom', uirevision: run || 0,
      paper_bgcolor: 'transparent', plot_bgcolor: 'transparent', font: {family: style.fontFamily, size: 10.5, color: soft},
      xaxis: {...axis, range: [0, end], ticksuffix: ' s', nticks: 10},
      yaxis: {...axis, range: [low - room, high + room], nticks: 5, fixedrange: true, title: {text: 'score', standoff: 4}},
      hoverlabel: {font: {size: 11}},
    },
  };
}

// Smallest and largest of many numbers; a spread of twenty thousand arguments is more than some browsers take.
function extremes(values) {
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
}
