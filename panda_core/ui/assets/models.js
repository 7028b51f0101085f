// The Models tab: a table of what there is, the card of the chosen model, and what can be done with it.

import {SILENT} from './calls.js';
import {createTable} from './table.js';
import {bytes} from './train_words.js';
import {node, served} from './text.js';

const ONNX = {title: 'One file for programs without PANDA Inspector: pixels in, score and anomaly map out. Takes a minute or two.', meanwhile: 'Writing ONNX…'};
const IDLE = 4000; // ms between two questions while the tab is in sight: a training may have given a new model

export function mount({element, trigger, server, upload}) {
  new Models(element.querySelector('.models'), trigger, server, upload);
}

class Models {
  constructor(root, trigger, server, upload) {
    Object.assign(this, {root, trigger, server, upload, chosen: '', shown: '', token: '', begins: '', trouble: ''});
    this.find = selector => root.querySelector(selector);
    this.table = createTable(this.find('.models-table'), {
      label: 'Models', rowHeight: 38, empty: 'No model yet. Train one, or import one that somebody has exported.',
      columns: [
        {key: 'title', label: 'Model', kind: 'text', format: (title, row) => (row.id === this.begins ? `${title} ★` : title)},
        {key: 'auroc', label: 'AUROC', kind: 'number', width: 108, format: area => area && spread(area), sortBy: row => row.auroc?.[0]},
        {key: 'boundary', label: 'Boundary', kind: 'text', width: 96, wide: true},
        {key: 'parent', label: 'Tuned from', kind: 'text', width: 110, wide: true},
        {key: 'size', label: 'Size', kind: 'number', width: 80, wide: true, format: bytes},
        {key: 'created', label: 'Made', kind: 'text', width: 100, wide: true, format: text => text && text.slice(0, 10)},
        {key: 'own', label: 'Kind', kind: 'badge', width: 92, format: (own, row) => (row.problem ? {text: 'problem', tone: 'unreadable'} : {text: own ? 'yours' : 'shipped', tone: 'plain'})},
      ],
      onOpen: row => this.choose(row.id),
      onSelect: rows => rows[0] && this.choose(rows[0].id),
    });
    this.find('.models-import input').addEventListener('change', event => this.bring(event.target));
    this.find('.models-undo button').addEventListener('click', () => this.undo());
    this.poll();
  }

  async ask(name, data = {}) {
    try {
      const answer = await this.server[name](data);
      this.say(answer?.error || '');
      return answer?.error ? null : answer;
    } catch {
      this.say(SILENT);
      return null;
    }
  }

  say(text) {
    const line = this.find('.models-message');
    if (line.textContent !== text) line.textContent = text;
    line.hidden = !text;
  }

  async poll() {
    while (this.root.isConnected) {
      if (document.visibilityState === 'visible' && this.root.offsetParent !== null) await this.refresh();
      await new Promise(done => setTimeout(done, this.table.rows().length ? IDLE : 500));
    }
  }

  async refresh() {
    const asked = this.asked = (this.asked || 0) + 1;
    const answer = await this.server.models({}).catch(() => ({error: SILENT}));
    if (asked !== this.asked) return; // overtaken: it may be of before a model was renamed or added
    const line = this.find('.models-message');
    if (answer.error || line.textContent === this.trouble) this.say(answer.error || ''); // what was said of something else stays
    this.trouble = answer.error || '';
    if (answer.error) return;
    const now = JSON.stringify(answer);
    if (now === this.seen) return;
    this.seen = now;
    this.begins = answer.default || '';
    this.table.setRows(answer.models);
    if (!answer.models.some(row => row.id === this.chosen)) this.chosen = '';
    this.card();
    this.listDeleted(answer.deleted);
  }

  choose(id) {
    if (id !== this.chosen) this.say(''); // what was said was of something else
    this.chosen = id;
    this.card();
  }

  row() {
    return this.table.rows().find(row => row.id === this.chosen);
  }

  card() {
    const row = this.row();
    const place = this.find('.models-card');
    place.hidden = !row;
    const now = row ? JSON.stringify([row, this.begins]) : '';
    if (now === this.shown) return;
    this.shown = now;
    if (row) place.replaceChildren(...cardOf(row), this.actions(row));
  }

  actions(row) {
    const name = node('input', {type: 'text', value: row.own ? row.id : `${row.id} 2`, maxLength: 60, ariaLabel: 'New name'});
    const button = (text, run, on = true, {title = '', meanwhile = text} = {}) => {
      const made = node('button', {type: 'button', textContent: text, disabled: !on, title});
      made.addEventListener('click', async () => {
        Object.assign(made, {disabled: true, textContent: meanwhile});
        await run();
        Object.assign(made, {disabled: !on, textContent: text});
      });
      return made;
    };
    return node('div', {className: 'models-actions'},
      node('div', {className: 'models-name'}, name, button('Rename', () => this.act('rename', row.id, name.value), row.own), button('Copy', () => this.act('copy', row.id, name.value), !row.problem)),
      node('div', {},
        button(row.id === this.begins ? 'Begins with it ★' : 'Begin with it', () => this.act('default', row.id), !row.problem && row.id !== this.begins),
        button('Export', () => this.pack(row.id), !row.problem, {title: 'One file, to import elsewhere'}),
        button('ONNX', () => this.pack(row.id, true), !row.problem, ONNX), button('Delete', () => this.act('delete', row.id), row.own)),
      row.own ? '' : node('p', {className: 'models-hint', textContent: 'This model is not in your own folder of models: it stays as it is. A copy is yours to change.'}));
  }

  async act(what, id, name = '') {
    const answer = await this.ask('act', {what, id, name});
    if (!answer) return;
    if (answer.token) this.offerUndo(id, answer.token);
    if (answer.model) this.chosen = answer.model;
    await this.refresh();
    this.trigger('models', what === 'rename' ? {was: id, name: answer.model} : {});
    this.show();
  }

  /** The chosen model in the table, where the keyboard goes on, and its card in sight. */
  show() {
    const at = this.table.visibleRows().findIndex(row => row.id === this.chosen);
    if (at < 0) return;
    this.table.select(at);
    this.find('.models-table .sheet').focus({preventScroll: true});
    this.find('.models-card').scrollIntoView({block: 'nearest'});
  }

  async pack(id, onnx = false) {
    const answer = await this.ask('pack', {id, onnx});
    if (answer?.note) this.say(answer.note);
    if (answer) node('a', {href: served(answer.download), download: answer.name}).click();
  }

  async bring(input) {
    const [file] = input.files;
    if (!file) return;
    let path = '';
    try { ({path} = await this.upload(file)); } catch { this.say('The upload failed. Try again; a file may have 200 MB.'); }
    input.value = '';
    const answer = path && await this.ask('bring', {file: path});
    if (!answer) return;
    this.chosen = answer.model;
    await this.refresh();
    this.trigger('models', {});
    this.show();
  }

  offerUndo(id, token) {
    this.token = token;
    const bar = this.find('.models-undo');
    bar.querySelector('span').textContent = `“${id}” was deleted.`;
    bar.hidden = false;
  }

  listDeleted(models) {
    const place = this.find('.models-deleted');
    place.hidden = !models.length;
    place.querySelector('summary').textContent = `Deleted (${models.length}), kept for 30 days`;
    place.querySelector('ul').replaceChildren(...models.map(({token, name, when}) => {
      const back = node('button', {type: 'button', textContent: 'Bring back', ariaLabel: `Bring back ${name}`});
      back.addEventListener('click', async () => {
        back.disabled = true;
        this.find('.models-undo').hidden = true;
        await this.act('restore', token);
        back.disabled = false; // where it did not come back
      });
      return node('li', {}, node('span', {textContent: `${name}, deleted ${new Date(1000 * when).toLocaleString('sv').slice(0, 16)}`}), back);
    }));
  }

  async undo() {
    this.find('.models-undo').hidden = true;
    await this.act('restore', this.token);
  }
}

// The worst and the best of the tests, never the best alone.
const spread = ([low, high]) => (low === high ? low.toFixed(3) : `${low.toFixed(2)}–${high.toFixed(2)}`);

function cardOf(row) {
  if (row.problem && !row.data) return [node('h2', {textContent: row.title}), node('p', {className: 'models-problem', textContent: row.problem})];
  const facts = [
    ['Learned from', `${row.data}; ${row.images} images, ${row.heldOut} more held out to calibrate`], ['Licence', row.licence],
    ['Network', `${row.detector}, preset ${row.preset}, ${row.side} × ${row.side} pixels, ${row.loss}`], ['Boundary', row.boundary + (row.moved ? `, set by ${row.moved}` : '')],
    ['Deep images', row.deep && `read by one range, ${row.deep}`], ['Tuned from', row.parent], ['Made', `${row.created} with ${Object.entries(row.versions).map(pair => pair.join(' ')).join(', ')}`], ['Folder', row.folder],
  ];
  return [
    node('h2', {textContent: row.title}),
    ...(row.problem ? [node('p', {className: 'models-problem', textContent: row.problem})] : []),
    measured(row.metrics),
    node('dl', {}, ...facts.filter(([, text]) => text).flatMap(([what, textContent]) => [node('dt', {textContent: what}), node('dd', {textContent})])),
    row.limits.length ? node('ul', {}, ...row.limits.map(textContent => node('li', {textContent}))) : '',
  ];
}

function measured(metrics) {
  if (!metrics.length) return node('p', {className: 'models-hint', textContent: 'Nothing was measured yet: evaluate it on a labelled folder before you trust it.'});
  const head = node('tr', {}, ...['Test', 'AUROC, 95 % CI', 'Trivial'].map(textContent => node('th', {textContent})));
  const rows = metrics.map(one => node('tr', {}, node('td', {textContent: one.data}), node('td', {textContent: `${one.auroc.toFixed(3)} (${one.auroc_ci.map(end => end.toFixed(3)).join('–')})`}), node('td', {textContent: one.trivial_auroc?.toFixed(3) ?? '–'})));
  return node('table', {}, head, ...rows);
}
