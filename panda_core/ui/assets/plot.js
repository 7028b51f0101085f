// Scores of two classes as a histogram with fitted densities. Plotly draws it once an image; boundary and needle are two
// elements of our own on top, because they move sixty times a second and Plotly does not.
import {loadPlotly} from './plotly.js';
import {node, number} from './text.js';

const MARGIN = {l: 8, r: 8, t: 4, b: 20}; // left and right: half a slider's thumb, so that line and thumb stand in one column
const BINS = 36;
const CURVE = 120;

/**
 * {element, show({normal, anomalous, source, range, score, model}), place(boundary)}; `normal` and `anomalous` are {scores, count, mean, sd}, where
 * an sd of 0 draws no density. A `score` of null is no image: there is no needle then. `what`: whose scores, for screen readers.
 */
export function createPlot({what = 'Calibration scores'} = {}) {
  const chart = node('div', {className: 'chart'});
  const boundary = node('i', {className: 'boundary-line', title: 'Boundary'});
  const needle = node('i', {className: 'needle', title: 'This image'});
  const area = node('div', {className: 'area'}, chart, boundary, needle);
  const key = node('figcaption');
  const element = node('figure', {className: 'scores'}, area, key);
  area.setAttribute('role', 'img');
  const state = {shown: null, boundary: 0, seen: null, plotly: null, width: 0};

  const put = (line, value) => {
    const [low, high] = state.seen;
    const share = (value - low) / (high - low);
    line.hidden = value === null || !(share >= 0 && share <= 1);
    line.style.left = `calc(${MARGIN.l}px + ${share.toFixed(5)} * (100% - ${MARGIN.l + MARGIN.r}px))`;
  };
  const putBoth = () => { put(boundary, state.boundary); put(needle, state.shown.score); };

  async function draw() {
    if (!area.clientWidth) return; // of a hidden tab: it is drawn when it has a size, Plotly would take one of its own
    if (!state.plotly) return drawStrip(chart, state.shown);
    const figure = figureOf(state.shown, element);
    const first = !chart.classList.contains('js-plotly-plot');
    if (first) chart.replaceChildren();
    await state.plotly.react(chart, figure.data, figure.layout, {displayModeBar: false, responsive: true});
    if (first) chart.on('plotly_relayout', () => { state.seen = [...chart.layout.xaxis.range]; putBoth(); });
  }

  function show(next) {
    state.shown = next;
    state.seen = next.range;
    key.replaceChildren(node('span', {textContent: `${what}:`}), ...legend(next));
    draw();
    putBoth();
    whenIdle(async () => {
      if (!state.plotly && (state.plotly = await loadPlotly())) draw();
    });
  }

  function place(value) {
    state.boundary = value;
    const image = state.shown.score === null ? '' : `this image ${number(state.shown.score)}, `;
    area.setAttribute('aria-label', `${what}; ${image}boundary ${number(value)}`);
    put(boundary, value);
  }

  new ResizeObserver(() => {
    if (!state.shown || area.clientWidth === state.width) return;
    state.width = area.clientWidth;
    draw();
  }).observe(area);
  new MutationObserver(() => state.shown && draw()).observe(document.body, {attributeFilter: ['class']});
  return {element, show, place};
}

function whenIdle(run) {
  if (window.requestIdleCallback) requestIdleCallback(run, {timeout: 3000}); else setTimeout(run, 300);
}

function classesOf({normal, anomalous}) {
  const both = [{...normal, name: 'normal', colour: '--panda-blue'}, {...anomalous, name: 'anomalous', colour: '--panda-amber'}];
  return both.filter(({scores}) => scores.length);
}

function legend(shown) {
  const classes = classesOf(shown).map(({name, count}) => [name, `${count} ${name === 'anomalous' && shown.source === 'synthetic' ? 'synthetic anomalies' : name}`]);
  const keys = [...classes, ['boundary-key', 'boundary'], ...(shown.score === null ? [] : [['needle-key', 'this image']])];
  return keys.map(([kind, text]) => node('span', {}, node('i', {className: `key ${kind}`}), text));
}

function figureOf(shown, element) {
  const style = getComputedStyle(element);
  const colour = name => style.getPropertyValue(name).trim();
  const [start, end] = shown.range;
  const data = classesOf(shown).flatMap(kind => [
    {
      type: 'histogram', x: kind.scores, name: kind.name, histnorm: 'probability density', opacity: 0.55,
      marker: {color: colour(kind.colour)},
      xbins: {start, end, size: (end - start) / BINS}, hovertemplate: `${kind.name}<br>score %{x}<extra></extra>`,
    },
    {
      type: 'scatter', mode: 'lines', name: `${kind.name}, fitted`, line: {color: colour(kind.colour), width: 1.6}, hoverinfo: 'skip',
      ...density(kind, start, end),
    },
  ]);
  const soft = colour('--body-text-color-subdued');
  return {
    data,
    layout: {
      barmode: 'overlay', bargap: 0.08, showlegend: false, margin: MARGIN, autosize: true, dragmode: 'zoom', uirevision: shown.model,
      paper_bgcolor: 'transparent', plot_bgcolor: 'transparent', font: {family: style.fontFamily, size: 10.5, color: soft},
      xaxis: {
        range: [start, end], showgrid: false, zeroline: false, showline: true, linecolor: soft, ticks: 'outside', ticklen: 3,
        tickcolor: soft, nticks: 7,
      },
      yaxis: {visible: false, fixedrange: true, rangemode: 'tozero'},
      hoverlabel: {font: {size: 11}},
    },
  };
}

function density({mean, sd}, start, end) {
  if (!(sd > 0)) return {x: [], y: []};
  const x = Array.from({length: CURVE + 1}, (_, i) => start + (i / CURVE) * (end - start));
  return {x, y: x.map(at => Math.exp(-0.5 * ((at - mean) / sd) ** 2) / (sd * Math.sqrt(2 * Math.PI)))};
}

// Bars of the same place and size until Plotly is there (or for good where it cannot be).
function drawStrip(chart, shown) {
  const space = 'http://www.w3.org/2000/svg';
  const picture = document.createElementNS(space, 'svg');
  picture.setAttribute('viewBox', `0 0 ${BINS} 1`);
  picture.setAttribute('preserveAspectRatio', 'none');
  for (const {scores, name} of classesOf(shown)) {
    const bars = document.createElementNS(space, 'path');
    bars.setAttribute('class', name);
    bars.setAttribute('d', barsOf(scores, shown.range));
    picture.append(bars);
  }
  chart.replaceChildren(picture);
}

function barsOf(scores, [start, end]) {
  const counts = new Array(BINS).fill(0);
  for (const score of scores) counts[Math.min(BINS - 1, Math.max(0, Math.floor(((score - start) / (end - start)) * BINS)))]++;
  const most = Math.max(...counts);
  return counts.map((count, i) => count ? `M${i} 1v${-count / most}h.9v${count / most}z` : '').join('');
}
