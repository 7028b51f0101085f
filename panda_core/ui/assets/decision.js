// The decision card: verdict, score against boundary, what the boundary does, what each error added, the regions.
import {createPlot} from './plot.js';
import {node, number, percent} from './text.js';
import {createThresholds} from './thresholds.js';
import {agreement, consequence, ERROR_LABELS, origin, rarity, rates, smallness} from './words.js';

const ROWS = 50;
const ROWS_MOVING = 12; // written while a slider moves; the rest follows when it rests
const MARKS = {normal: ['Normal', 'N'], anomalous: ['Anomalous', 'A']};

/**
 * {element, thresholds, open(payload), update(found, moving), clear(), mark(name)}.
 * `onMove`, `onRelease`, `onSave`, `onForget` as in thresholds.js; `onMark(name)`; `onPicture()`; `onPoint(index or -1)` and `onRegion(index)`
 * for rows of the list.
 */
export function createCard({onMove, onRelease, onSave, onForget, onMark, onPicture, onPoint, onRegion}) {
  const plot = createPlot();
  const thresholds = createThresholds({onMove, onRelease, onSave, onForget});
  const verdict = createVerdict(plot.element, onMark, onPicture);
  const [effect, source] = [node('p', {className: 'effect'}), node('p', {className: 'source'})];
  const parts = node('div');
  const list = createRegionList(onPoint, onRegion);
  const result = node('div', {className: 'result', hidden: true}, verdict.element, thresholds.element, effect, source, parts, list.element);
  const element = node('aside', {className: 'judgement'}, explanation(), result);
  element.setAttribute('aria-label', 'Decision');
  let payload = null;

  function open(next) {
    payload = next;
    element.firstChild.hidden = true;
    result.hidden = false;
    thresholds.open(payload);
    const {low, high} = thresholds.get().ranges.boundary;
    plot.show({normal: payload.normal, anomalous: payload.anomalous, source: payload.source, range: [low, high], score: payload.score, model: payload.model});
    verdict.open(payload);
    parts.replaceChildren(contributions(payload));
    thresholds.say(payload.message || {});
  }

  /** Everything that follows the sliders; `found`: regions in original pixels, the marked share, agreement with a true mask or null. Returns {verdict, regions}. */
  function update(found, moving) {
    const {boundary, pixel, moved} = thresholds.get();
    const decided = payload.score - boundary > 0 ? 'anomalous' : 'normal';
    verdict.update(decided, payload.score, boundary);
    plot.place(boundary);
    write(effect, consequence(rates(payload.normal.scores, payload.anomalous.scores, boundary), payload.source));
    write(source, origin(payload.boundary, payload.own.boundary, moved.boundary));
    list.update(found, {threshold: pixel, reduced: payload.reduced, moving});
    return {verdict: decided, regions: found.regions.length};
  }

  function clear() {
    payload = null;
    element.firstChild.hidden = false;
    result.hidden = true;
    verdict.clear();
  }

  return {element, thresholds, open, update, clear, mark: verdict.mark};
}

function createVerdict(plot, onMark, onPicture) {
  const title = node('h2');
  const cells = Object.fromEntries(['Score', 'Boundary', 'Margin'].map(name => [name, node('dd')]));
  const numbers = node('dl', {}, ...Object.entries(cells).map(([name, cell]) => node('div', {}, node('dt', {textContent: name}), cell)));
  const [rare, small] = [node('p', {className: 'rarity'}), node('p', {className: 'small'})];
  const marks = createMarks(onMark);
  const keep = node('button', {type: 'button', className: 'keep', textContent: 'Save picture', onclick: onPicture});
  keep.title = 'Save what is shown on the left, with the verdict, as a picture (S)';
  const element = node('section', {className: 'verdict'}, title, numbers, small, rare, plot, node('div', {className: 'below'}, marks.element, keep));
  title.setAttribute('role', 'status');
  element.setAttribute('aria-label', 'Verdict');

  return {
    element,
    mark: marks.set,
    open(payload) {
      marks.set(payload.mark || '');
      write(rare, rarity(payload.p_value, payload.normal.count));
      write(small, smallness(payload));
    },
    update(decided, score, boundary) {
      // A status that is written again is read out again: only where it has changed.
      if (element.dataset.verdict !== decided) title.textContent = decided[0].toUpperCase() + decided.slice(1);
      element.dataset.verdict = decided;
      put(cells.Score, number(score));
      put(cells.Boundary, number(boundary));
      put(cells.Margin, number(score - boundary, {sign: true}));
    },
    clear() { delete element.dataset.verdict; title.textContent = ''; },
  };
}

// What the person says it is, beside what the model says.
function createMarks(onMark) {
  const buttons = Object.entries(MARKS).map(([name, [label, key]]) => {
    const button = node('button', {type: 'button', textContent: label, title: `Mark as ${name} (${key})`, onclick: () => onMark(name)});
    button.dataset.mark = name;
    button.setAttribute('aria-label', `Mark as ${name}`);
    return button;
  });
  const element = node('div', {className: 'marks'}, node('span', {textContent: 'Your mark:'}), ...buttons);
  element.setAttribute('role', 'group');
  element.setAttribute('aria-label', 'Your mark');
  return {element, set(name) { for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset.mark === name)); }};
}

function contributions({errors, contributions: added}) {
  const largest = Math.max(...Object.values(added).map(Math.abs)) || 1;
  const rows = Object.entries(errors).map(([name, raw]) => {
    const share = added[name] || 0;
    const width = (50 * Math.abs(share)) / largest;
    const bar = node('i', {className: share < 0 ? 'less' : 'more'});
    bar.style.cssText = `left:${50 - (share < 0 ? width : 0)}%;width:${width}%`;
    const head = node('th', {scope: 'row', textContent: ERROR_LABELS[name] || name});
    return node('tr', {}, head, cell(number(raw)), node('td', {className: 'bar'}, bar), cell(number(share, {sign: true})));
  });
  return table('contributions', ['Part of the score', 'Error', '', 'Adds'], node('tbody', {}, ...rows));
}

function createRegionList(onPoint, onRegion) {
  const [caption, body] = [node('p', {className: 'caption'}), node('tbody')];
  const agreed = node('p', {className: 'agreed'});
  const [more, note] = [node('p', {className: 'note'}), node('p', {className: 'note'})];
  const listing = table('regions', ['#', 'Area px', 'Box x, y – x, y', 'Peak', 'Mean'], body);
  const element = node('section', {className: 'region-list'}, caption, agreed, listing, more, note);
  const rows = [];
  element.setAttribute('aria-label', 'Regions');

  // Rows are made once and written again: sixty tables a second would not be drawn in time.
  function rowAt(index) {
    if (rows[index]) return rows[index];
    const button = node('button', {type: 'button', textContent: String(index + 1), title: 'Show this region'});
    button.setAttribute('aria-label', `Show region ${index + 1}`);
    const row = node('tr', {onclick: () => onRegion(index)}, node('td', {}, button), ...Array.from({length: 4}, () => node('td')));
    row.addEventListener('pointerenter', () => onPoint(index));
    row.addEventListener('pointerleave', () => onPoint(-1));
    body.append(row);
    return rows[index] = row;
  }

  function update({regions, share, overlap}, {threshold, reduced, moving}) {
    const count = regions.length ? `${regions.length} region${regions.length === 1 ? '' : 's'}` : 'No region';
    element.dataset.regions = String(regions.length);
    write(caption, [count, ` · ${percent(share)} of the image above ${number(threshold)} SD`]);
    agreed.hidden = !overlap;
    if (overlap) write(agreed, agreement(overlap));
    const shown = Math.min(regions.length, ROWS);
    const last = moving ? ROWS_MOVING : ROWS;
    for (let i = 0; i < Math.min(shown, last); i++) fillRow(rowAt(i), regions[i]);
    rows.slice(0, last).forEach((row, i) => { if (row.hidden !== i >= shown) row.hidden = i >= shown; });
    listing.hidden = !shown;
    put(more, regions.length > ROWS ? `and ${regions.length - ROWS} weaker ones` : '');
    put(note, reduced && shown ? 'Measured on a smaller map, given in pixels of the original.' : '');
  }

  return {element, update};
}

function fillRow(row, {area, box: [x0, y0, x1, y1], peak, mean}) {
  const texts = [area.toLocaleString('en').replaceAll(',', '\u202f'), `${x0}, ${y0} – ${x1}, ${y1}`, number(peak), number(mean)];
  texts.forEach((text, i) => put(row.children[i + 1], text));
}

function explanation() {
  return node('section', {className: 'explanation'},
    node('h2', {textContent: 'How it judges'}),
    node('p', {}, 'The model has seen normal images only. It redraws yours from what it knows; ',
      'what it cannot redraw or finds unusual adds to the score.'),
    node('p', {}, 'Above the boundary the image is called anomalous. Where the map is above the pixel threshold it is marked. ',
      'Both can be moved afterwards; the network does not run again.'));
}

function table(name, heads, body) {
  const head = node('tr', {}, ...heads.map(textContent => node('th', {scope: 'col', textContent})));
  return node('table', {className: `data ${name}`}, node('thead', {}, head), body);
}

const cell = textContent => node('td', {textContent});
const put = (element, text) => { if (element.textContent !== text) element.textContent = text; };
const write = (element, [bold, plain]) => {
  if (element.textContent !== bold + plain) element.replaceChildren(node('b', {textContent: bold}), plain);
};
