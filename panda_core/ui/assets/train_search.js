// One grid search: how far it is, its trials in a table and as parallel coordinates, and the best of them with what that is worth.

import {createTable} from './table.js';
import {createParallel} from './train_parallel.js';
import {stateWord} from './train_words.js';
import {node, number} from './text.js';

const NEAR_CHANCE = 0.6; // of an AUROC on some tens of images
const ROW = 30; // px
const MOST_ROWS = 14; // shown without scrolling
const ACTIONS = {created: ['cancel'], running: ['cancel'], stopped: ['discard', 'resume'], failed: ['discard', 'resume'], interrupted: ['discard', 'resume'], done: ['discard'], damaged: ['discard']};
const WORDS = {cancel: 'Stop', resume: 'Resume', discard: 'Discard'};
const TEMPLATE = `
  <header><h2></h2><p class="state" role="status"></p><div class="actions"></div></header>
  <p class="about"></p>
  <p class="detail"></p>
  <div class="train-bar" role="progressbar" aria-label="Progress" aria-valuemin="0" hidden><i></i></div><p class="pace"></p>
  <section class="best" hidden></section>
  <figure class="parallel" hidden><figcaption>Each line is a training; the stronger its colour, the better on held-out images. Drag along an axis to pick some out.</figcaption><div class="chart"></div></figure>
  <p class="train-kinds">AUROC and separation: held-out normal images against the folder’s known anomalies or, where it has fewer than four, against synthetic ones. A click opens the training.</p>
  <div class="trials"></div>
  <details class="unused" hidden><summary></summary><ul></ul></details>
  <p class="command" hidden>The same in a terminal: <code></code></p>`;

/** {show(id), request(), apply(summary, told, runs)}; `act(what, id)` does something to the search, `open(run)` shows a training. */
export function createSearchView(root, {act, open}) {
  return new SearchView(root, act, open);
}

class SearchView {
  constructor(root, act, open) {
    Object.assign(this, {root, act, open, id: '', runs: []});
    root.innerHTML = TEMPLATE;
    this.find = selector => root.querySelector(selector);
    this.parallel = createParallel(this.find('.parallel'));
    this.forget();
  }

  show(id) {
    if (id === this.id) return;
    this.id = id;
    this.forget();
    for (const place of ['h2', '.state', '.about', '.detail', '.pace']) this.find(place).textContent = '';
  }

  forget() {
    Object.assign(this, {known: 0, told: null, table: null, rows: ''});
    for (const place of ['.best', '.unused', '.command']) this.find(place).hidden = true;
    this.find('.trials').replaceChildren();
    this.parallel.draw([], []);
  }

  request() {
    return {search: this.id, known: this.known};
  }

  apply(search, told, runs) {
    if (search.id !== this.id) return;
    this.runs = runs;
    if (told?.stamp) this.tell(told);
    this.head(search);
    this.fillTable();
  }

  tell(told) {
    this.known = told.stamp;
    this.told = told;
    const done = told.trials.filter(trial => trial.state === 'done');
    this.parallel.draw(told.fields, done);
    this.best(told, done.length);
    this.failures(told.trials.filter(trial => trial.state === 'failed'));
    put(this.find('.command code'), told.command);
  }

  head(search) {
    put(this.find('h2'), search.name);
    put(this.find('.state'), stateWord(search));
    this.root.dataset.state = search.state;
    this.find('.command').hidden = search.state === 'done' || !this.told;
    put(this.find('.detail'), search.detail || '');
    if (this.told) put(this.find('.about'), about(this.told));
    const bar = this.find('.train-bar');
    bar.hidden = search.over;
    bar.setAttribute('aria-valuenow', search.step || 0);
    bar.setAttribute('aria-valuemax', search.total || 0);
    bar.firstElementChild.style.width = `${search.total ? (100 * search.step) / search.total : 0}%`;
    put(this.find('.pace'), search.total ? `${search.step} of ${search.total} trainings are over` : '');
    this.actions(search);
  }

  actions(search) {
    const wanted = search.stopping ? [] : ACTIONS[search.state] || [];
    const place = this.find('.actions');
    if (place.dataset.shown === `${search.id} ${wanted}`) return;
    place.dataset.shown = `${search.id} ${wanted}`;
    place.replaceChildren(...wanted.map(what => {
      const button = node('button', {type: 'button', textContent: WORDS[what], className: what});
      button.addEventListener('click', async () => { button.disabled = true; await this.act(what, search.id); button.disabled = false; });
      return button;
    }));
  }

  best({trials, best, fields}, count) {
    const place = this.find('.best');
    const trial = trials.find(one => one.number === best);
    place.hidden = !trial;
    if (!trial) return;
    const values = fields.map(field => `${field} = ${trial.values[field]}`).join(', ');
    const same = trials.filter(one => one.state === 'done' && one.auroc.toFixed(3) === trial.auroc.toFixed(3)).length;
    const button = node('button', {type: 'button', textContent: 'Open its training'});
    button.addEventListener('click', () => this.open(trial.run));
    place.replaceChildren(
      node('h3', {textContent: 'Best on held-out images'}),
      node('p', {textContent: `${values}: AUROC ${trial.auroc.toFixed(3)}, the two mean scores ${number(trial.separation)} standard deviations apart.`}),
      same > 1 ? node('p', {textContent: `${same} trainings have this AUROC; the larger distance decided.`}) : '',
      trial.auroc < NEAR_CHANCE ? node('p', {textContent: 'That is hardly better than guessing: none of these trainings tells the images apart.'}) : '',
      node('p', {textContent: `It was chosen among ${count} by these images, so say so when you report it, and measure it on images that nobody chose by.`}),
      button);
  }

  failures(failed) {
    const place = this.find('.unused');
    place.hidden = !failed.length;
    put(place.querySelector('summary'), `Failed trainings (${failed.length})`);
    place.querySelector('ul').replaceChildren(...failed.map(trial => node('li', {textContent: `${trial.run || `No. ${1 + trial.number}`}: ${trial.detail}`})));
  }

  fillTable() {
    if (!this.told) return;
    const {fields, trials, best} = this.told;
    const rows = trials.map(({number: at, values, ...rest}) => ({id: String(at), no: at + 1, ...values, ...rest, best: at === best, progress: this.progress(rest.run)}));
    const now = JSON.stringify(rows);
    if (now === this.rows) return;
    this.rows = now;
    this.table ??= this.makeTable(fields, trials.length);
    this.table.setRows(rows);
  }

  makeTable(fields, count) {
    const place = this.find('.trials');
    place.style.height = `${34 + ROW * Math.min(count, MOST_ROWS)}px`;
    return createTable(place, {
      label: 'Trainings of this search', rowHeight: ROW,
      columns: [
        {key: 'no', label: 'No.', kind: 'number', width: '44px'},
        ...fields.map(field => ({key: field, label: shortest(field, fields), kind: 'text', width: 'minmax(72px, 1fr)', format: value => String(value)})),
        {key: 'auroc', label: 'AUROC', kind: 'number', width: '72px', format: value => value?.toFixed(3) ?? ''},
        {key: 'separation', label: 'Separation', kind: 'number', width: '92px', wide: true, format: value => (value === null ? '' : number(value))},
        {key: 'state', label: 'State', kind: 'badge', width: '92px', format: badge},
        {key: 'run', label: 'Training', kind: 'text', wide: true, format: value => value || 'to come'},
      ],
      onOpen: row => row.run && this.open(row.run),
    });
  }

  /** Share of its steps that a training at work has done, in per cent; null for any other. */
  progress(id) {
    const run = this.runs.find(one => one.id === id);
    return run && !run.over && run.total ? Math.round((100 * run.step) / run.total) : null;
  }
}

function badge(state, row) {
  if (row.best) return {text: 'best', tone: 'normal'};
  if (state === 'failed') return {text: 'failed', tone: 'unreadable'};
  return {text: state === 'running' && row.progress !== null ? `${row.progress} %` : state, tone: 'plain'};
}

function about({data, preset, parent, size, fields}) {
  const from = parent ? `fine-tuned from “${parent}”` : `preset ${preset}`;
  return `${data} · ${from}, ${size} × ${size} · varies ${fields.join(', ')}`;
}

// The field without its group, where that is still clear.
const shortest = (field, fields) => {
  const last = field.split('.').pop();
  return fields.filter(other => other.split('.').pop() === last).length > 1 ? field : last;
};

function put(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
