// The Train tab: runs and grid searches at the left, a new training or the chosen one at the right. Everything shown is asked of the server again and
// again, because it is all on the disk: a reload, a second tab or a restarted server show the same.

import {SILENT} from './calls.js';
import {acceptDrops} from './intake.js';
import {createForm} from './train_form.js';
import {createRunView} from './train_run.js';
import {createSearchView} from './train_search.js';
import {ago, duration, stateWord} from './train_words.js';
import {node} from './text.js';

const BUSY = 1000; // ms between questions while a training is at work and the tab is in sight
const IDLE = 5000; // ms otherwise
const UNDO = 30_000; // ms for which a discarded training is offered back
const HINT = 'Drop normal images, a folder of them, or a zip file';
const MIXED = 'What you dropped lies in several folders, which an upload would mix. Drop one folder of normal images, a zip file, or type the path above.';

export function mount({element, props, trigger, server, upload}) {
  new Train(element.querySelector('.train'), {trigger, server, upload, folders: props.value?.folders !== false, example: props.value?.example || ''});
}

class Train {
  constructor(root, {trigger, server, upload, folders, example}) {
    Object.assign(this, {root, trigger, server, kind: 'run', chosen: '', runs: null, searches: [], discarded: null, unreachable: false});
    this.find = selector => root.querySelector(selector);
    const ask = (name, data) => this.ask(name, data);
    this.form = createForm(this.find('.train-form'), {ask, upload, folders, example, say: text => this.say(text), onStarted: (id, kind) => this.choose(id, kind)});
    this.view = createRunView(this.find('.train-run'), {ask, act: (what, id, extra) => this.act(what, id, extra)});
    this.search = createSearchView(this.find('.train-search'), {act: (what, id) => this.actOnSearch(what, id), open: id => this.choose(id)});
    acceptDrops(root, {kinds: root.dataset.kinds, hint: HINT, take: files => this.take(files), refuse: text => this.say(text)});
    this.find('.train-new').addEventListener('click', () => this.choose(''));
    this.find('.train-undo button').addEventListener('click', () => this.undo());
    this.poll();
  }

  /** Call the server; null and a message where it says no or nothing. */
  async ask(name, data = {}) {
    try {
      const answer = await this.server[name](data);
      if (this.unreachable) this.say('');
      this.unreachable = false;
      if (answer?.error) { this.say(answer.error); return null; }
      return answer;
    } catch {
      this.say(`${SILENT} Trainings go on without it.`);
      this.unreachable = true;
      return null;
    }
  }

  /** Images for a new training. Of several folders one may hold the anomalies. */
  take(files) {
    const folders = new Set(files.map(({name}) => name.slice(0, name.lastIndexOf('/') + 1)));
    if (folders.size > 1) { this.say(MIXED); return; }
    this.choose('');
    this.form.take(files.map(({file}) => file));
  }

  say(text) {
    const line = this.find('.train-message');
    line.textContent = text;
    line.hidden = !text;
    if (text) line.scrollIntoView({block: 'nearest'});
  }

  inSight() {
    return document.visibilityState === 'visible' && this.root.offsetParent !== null;
  }

  async poll() {
    let seen = false;
    while (this.root.isConnected) {
      const now = this.inSight();
      if (now && !seen) this.form.refreshModels(); // they may have changed in another tab
      if (now) await this.refresh();
      seen = now;
      await new Promise(done => setTimeout(done, !now || this.entries().some(one => !one.over) ? BUSY : IDLE));
    }
  }

  async refresh() {
    const asked = this.asked = (this.asked || 0) + 1;
    const answer = await this.ask('look', this.kind === 'search' ? this.search.request() : this.view.request());
    if (!answer || asked !== this.asked) return; // an overtaken answer does not know the training that was begun meanwhile
    const first = this.runs === null;
    Object.assign(this, {runs: answer.runs, searches: answer.searches});
    this.list();
    if (this.chosen && !this.shown()) this.choose('');
    if (answer.shown) this.view.apply(answer.shown);
    if (this.kind === 'search' && this.chosen) this.search.apply(this.shown(), answer.search, this.runs);
    if (first && !this.chosen) this.chooseActive();
  }

  entries() {
    return [...this.searches, ...(this.runs || [])];
  }

  /** What is known of the chosen training or search; nothing where it is gone. */
  shown() {
    return (this.kind === 'search' ? this.searches : this.runs).find(one => one.id === this.chosen);
  }

  /** Who opens the page while something trains wants to see that. */
  chooseActive() {
    const search = this.searches.find(one => !one.over);
    const run = this.runs.find(one => !one.over);
    if (search) this.choose(search.id, 'search'); else if (run) this.choose(run.id);
  }

  /** [kind, entry, nested], newest first; the trainings of a search stand below it, and only while it or one of them is shown. */
  arranged() {
    const owner = new Map(this.searches.flatMap(search => search.runs.map(run => [run, search.id])));
    const open = this.kind === 'search' ? this.chosen : owner.get(this.chosen);
    const top = [...this.searches.map(one => ['search', one]), ...this.runs.filter(run => !owner.has(run.id)).map(one => ['run', one])];
    top.sort(([, a], [, b]) => (b.created || 0) - (a.created || 0));
    return top.flatMap(([kind, one]) => {
      const below = kind === 'search' && one.id === open ? this.below(one) : [];
      return [[kind, one, false], ...below.map(run => ['run', run, true])];
    });
  }

  /** The trainings of a search in its order, by the numbers its table has; those that were discarded are left out. */
  below(search) {
    const known = new Map(this.runs.map(run => [run.id, run]));
    return search.runs.filter(id => known.has(id)).map(id => ({...known.get(id), name: `No. ${1 + search.runs.indexOf(id)}`}));
  }

  list() {
    this.root.dataset.state = this.entries().length ? 'some' : 'empty';
    const list = this.find('.train-runs');
    const known = new Map([...list.children].map(item => [item.dataset.key, item]));
    this.arranged().forEach(([kind, one, nested], at) => {
      const key = `${kind} ${one.id}`;
      const item = known.get(key) || this.item(kind, one.id);
      known.delete(key);
      item.className = nested ? 'nested' : kind;
      fill(item, one, one.id === this.chosen && kind === this.kind);
      if (list.children[at] !== item) list.insertBefore(item, list.children[at] || null);
    });
    for (const gone of known.values()) gone.remove();
  }

  item(kind, id) {
    const button = node('button', {type: 'button'}, node('b'), node('span', {className: 'state'}), node('span', {className: 'pace'}), node('i', {className: 'bar'}, node('i')));
    button.addEventListener('click', () => this.choose(id, kind));
    const item = node('li', {}, button);
    item.dataset.key = `${kind} ${id}`;
    return item;
  }

  choose(id, kind = 'run') {
    Object.assign(this, {chosen: id, kind});
    this.say('');
    this.find('.train-form').hidden = Boolean(id);
    this.find('.train-run:not(.train-search)').hidden = !id || kind === 'search';
    this.find('.train-search').hidden = !id || kind !== 'search';
    this.find('.train-main').scrollTop = 0;
    if (kind === 'search') this.search.show(id); else this.view.show(id);
    if (this.runs) this.list();
    if (!id) this.form.refreshModels();
    this.refresh();
  }

  /** What a person does to a run. */
  async act(what, id, extra = {}) {
    if (what === 'again') return this.again(id);
    const answer = await this.ask(what, {id, ...extra});
    if (!answer) return;
    this.say('');
    if (what === 'accept') this.trigger('models', {model: answer.model});
    if (what === 'discard') this.offerUndo(id, 'run');
    await this.refresh();
  }

  /** What a person does to a grid search. */
  async actOnSearch(what, id) {
    if (!(await this.ask(`${what}_search`, {id}))) return;
    this.say('');
    if (what === 'discard') this.offerUndo(id, 'search');
    await this.refresh();
  }

  /** The form as it was filled for a run, to change what was wrong. */
  async again(id) {
    const filled = await this.ask('filled', {id});
    if (!filled) return;
    this.choose('');
    this.form.fill(filled);
  }

  offerUndo(id, kind) {
    this.discarded = [id, kind];
    const bar = this.find('.train-undo');
    bar.querySelector('span').textContent = kind === 'search' ? 'Discarded; its trainings stay.' : 'Discarded.';
    bar.hidden = false;
    clearTimeout(this.undoTimer);
    this.undoTimer = setTimeout(() => { bar.hidden = true; }, UNDO);
  }

  async undo() {
    this.find('.train-undo').hidden = true;
    const [id, kind] = this.discarded;
    if (!(await this.ask(kind === 'search' ? 'restore_search' : 'restore', {id}))) return;
    await this.refresh();
    this.choose(id, kind);
  }
}

// One line of the list; only what has changed is written, so that nothing flickers.
function fill(item, run, chosen) {
  const put = (selector, text) => { const place = item.querySelector(selector); if (place.textContent !== text) place.textContent = text; };
  item.dataset.state = run.state;
  item.firstChild.setAttribute('aria-current', chosen ? 'true' : 'false');
  put('b', run.name);
  put('.state', stateWord(run));
  put('.pace', run.runs && !run.over ? `${run.step} of ${run.total} trainings are over` : run.over ? ago(run.updated || run.created) : run.remaining ? `about ${duration(run.remaining)} left` : '');
  item.querySelector('.bar').hidden = run.over || !run.total;
  item.querySelector('.bar i').style.width = `${run.total ? (100 * run.step) / run.total : 0}%`;
}
