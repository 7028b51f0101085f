// What was measured: models side by side, and the chosen one in detail.

import {createBoundary} from './evaluate_boundary.js';
import {colourOf, createCurves} from './evaluate_curves.js';
import {createGallery} from './evaluate_gallery.js';
import {above, classes, places} from './evaluate_rates.js';
import {node, number, percent} from './text.js';
import {ERROR_LABELS} from './words.js';

const ENOUGH = 30; // images of a class below which the intervals are said to be wide

/**
 * {add(title, results), clear()}; `onOpen(model, order, index)`: the index of the model, places of the pictures in a row, the one opened;
 * `onKeep(model)`: write the result into the model's card, resolves to whether that was done.
 */
export function createResults(root, {onOpen, onKeep}) {
  return new Results(root, onOpen, onKeep);
}

class Results {
  constructor(root, onOpen, onKeep) {
    Object.assign(this, {root, results: [], chosen: 0, kinds: null});
    this.find = selector => root.querySelector(selector);
    this.curves = createCurves(this.find('.roc'), this.find('.pr'));
    this.boundary = createBoundary(this.find('.evaluate-boundary'), {onMove: (boundary, counts) => this.judge(boundary, counts)});
    this.find('.evaluate-keep').addEventListener('click', () => this.keep(onKeep));
    this.gallery = createGallery(this.find('.evaluate-hardest'), {onOpen: (order, index) => onOpen(this.chosen, order, index)});
  }

  clear() {
    this.results = [];
    this.root.hidden = true;
  }

  /** Models that are finished now; the first is shown in detail until a person chooses another. */
  add(title, results) {
    const fresh = !this.results.length;
    this.results = [...this.results, ...results];
    this.root.hidden = false;
    const [{labels}] = this.results;
    const odd = labels.filter(label => label >= 0).length;
    this.find('header h2').textContent = title;
    this.find('.evaluate-counts').textContent = `${labels.length - odd} normal and ${odd} anomalous images`;
    this.warn();
    this.summarise();
    this.problems();
    if (fresh) this.choose(0);
    else this.curves.show(this.results, this.chosen);
  }

  choose(at) {
    this.chosen = at;
    const result = this.results[at];
    this.kinds = classes(result);
    this.find('.evaluate-figures').replaceChildren(...figures(result));
    this.find('.evaluate-advice').textContent = advice(result, this.kinds);
    this.find('.evaluate-errors div').replaceChildren(table(['Error', 'AUROC'], Object.entries(result.errors).map(([name, area]) => [ERROR_LABELS[name] || name, within(area)])));
    this.offer();
    this.gallery.show(result, this.kinds);
    this.curves.show(this.results, at);
    this.boundary.show(result, this.kinds);
    for (const row of this.find('.evaluate-summary').querySelectorAll('tr[data-at]')) row.ariaSelected = String(Number(row.dataset.at) === at);
  }

  /** Only the card of a person's own model can take the result. */
  offer() {
    const {own, kept} = this.results[this.chosen];
    Object.assign(this.find('.evaluate-keep'), {hidden: !own, disabled: kept, textContent: kept ? 'Kept in the model’s card' : 'Keep in the model’s card'});
  }

  async keep(onKeep) {
    const result = this.results[this.chosen];
    this.find('.evaluate-keep').disabled = true;
    result.kept = await onKeep(this.chosen);
    this.offer();
  }

  judge(boundary, counts) {
    const {defects} = this.results[this.chosen];
    const rows = defects.map(({name, count, auroc}, place) => {
      const found = above(this.kinds.defects[place], boundary);
      return [name, count.toLocaleString('en'), within(auroc), `${found} (${percent(found / count)})`];
    });
    this.find('.evaluate-defects div').replaceChildren(table(['Defect', 'Images', 'AUROC', 'Found at this boundary'], rows));
    this.curves.place(places(counts));
    this.gallery.judge(boundary);
  }

  /** What makes a result too good is said above all results, whichever is looked at. */
  warn() {
    const place = this.find('.evaluate-warnings');
    const lines = this.results.filter(result => result.warning).map(({title, warning}) => node('p', {textContent: `${title}: ${warning}`}));
    place.hidden = !lines.length;
    place.replaceChildren(...lines);
  }

  summarise() {
    const place = this.find('.evaluate-summary');
    place.hidden = this.results.length < 2;
    if (place.hidden) return;
    const made = table(['Model', 'AUROC', 'beside the first', 'AUPRC', 'Pixel AUROC', 'AUPRO', 'False alarms', 'Misses', 'ms an image'], this.results.map(line));
    [...made.querySelectorAll('tr')].slice(1).forEach((row, at) => {
      const button = node('button', {type: 'button'}, node('i'), node('span', {textContent: row.cells[0].textContent}));
      button.firstChild.style.background = colourOf(at);
      row.cells[0].replaceChildren(button);
      row.dataset.at = at;
      row.ariaSelected = String(at === this.chosen);
      row.addEventListener('click', () => this.choose(at));
    });
    place.replaceChildren(made, node('p', {className: 'evaluate-hint', textContent: 'In brackets 95 % intervals, each image taken for a case of its own. Where “beside the first” holds 0, these images cannot tell the two apart. False alarms and misses: each model at its own boundary. A click shows a model in detail.'}));
  }

  problems() {
    const lines = [...new Set(this.results.flatMap(result => result.problems))];
    const place = this.find('.evaluate-problems');
    place.hidden = !lines.length;
    place.querySelector('summary').textContent = `${lines.length} file${lines.length === 1 ? ' was' : 's were'} left out, in full or of the pixel measures`;
    place.querySelector('ul').replaceChildren(...lines.slice(0, 200).map(textContent => node('li', {textContent})));
  }
}

const within = ([value, low, high]) => `${number(value)} (${number(low)}–\u2060${number(high)})`; // no break within the brackets
const apart = ([value, low, high]) => `${number(value, {sign: true})} (${number(low, {sign: true})} to ${number(high, {sign: true})})`;
const maybe = value => (value === null ? '–' : number(value));

function ownRates({scores, labels, defects, boundary}) {
  const kinds = classes({scores, labels, defects});
  return [above(kinds.normal, boundary) / kinds.normal.length, 1 - above(kinds.anomalous, boundary) / kinds.anomalous.length];
}

function line(result) {
  const [alarms, misses] = ownRates(result);
  return [result.title, within(result.auroc), result.apart ? apart(result.apart) : '', within(result.auprc), maybe(result.pixelAuroc), maybe(result.aupro), percent(alarms), percent(misses), result.ms.toFixed(0)];
}

function figures(result) {
  const facts = [
    ['AUROC', number(result.auroc[0]), `${number(result.auroc[1])} to ${number(result.auroc[2])}`],
    ['AUPRC', number(result.auprc[0]), `${number(result.auprc[1])} to ${number(result.auprc[2])}; guessing ${number(result.prevalence)}`],
    ...(result.pixelAuroc === null ? [] : [['Pixel AUROC', number(result.pixelAuroc), 'by the masks'], ['AUPRO', number(result.aupro), 'up to 30 % false pixels']]),
    ...(result.trivial === null ? [] : [['Colour alone', number(result.trivial), 'AUROC of colour statistics']]),
    ['Time an image', `${result.ms.toFixed(0)} ms`, `median, ${result.device}`],
  ];
  return facts.map(([name, value, more]) => node('div', {}, node('dt', {textContent: name}), node('dd', {}, node('b', {textContent: value}), node('span', {textContent: more}))));
}

function advice(result, kinds) {
  const parts = [`${result.title}. Intervals are 95 % and cover the choice of these images, each taken for a case of its own: with several pictures of one object they are too narrow.`];
  if (Math.min(kinds.normal.length, kinds.anomalous.length) < ENOUGH) parts.push(`With fewer than ${ENOUGH} images of a class they are wide: measure on more before you decide.`);
  if (result.trivial !== null && result.auroc[1] <= result.trivial) {
    parts.push(`Colour statistics alone reach ${number(result.trivial)}: these images do not show that the model sees more than light and colour.`);
  }
  if (result.region) parts.push('The model looks at its region only, as everywhere on this page; panda evaluate does so with --roi.');
  return parts.join(' ');
}

function table(heads, rows) {
  return node('table', {}, node('tr', {}, ...heads.map(textContent => node('th', {textContent}))), ...rows.map(cells => node('tr', {}, ...cells.map(textContent => node('td', {textContent})))));
}
