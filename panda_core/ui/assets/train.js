// The Train tab: runs at the left, a new training or the chosen run at the right. Everything shown is asked of the server again and
// again, because it is all on the disk: a reload, a second tab or a restarted server show the same.

import {createForm} from './train_form.js';
import {createRunView} from './train_run.js';
import {ago, duration, stateWord} from './train_words.js';
import {node} from './text.js';

const BUSY = 1000; // ms between questions while a training is at work and the tab is in sight
const IDLE = 5000; // ms otherwise
const UNDO = 30_000; // ms for which a discarded training is offered back

export function mount({element, props, trigger, server, upload}) {
  new Train(element.querySelector('.train'), {trigger, server, upload, folders: props.value?.folders !== false, example: props.value?.example || ''});
}

class Train {
  constructor(root, {trigger, server, upload, folders, example}) {
    Object.assign(this, {root, trigger, server, chosen: '', runs: null, discarded: '', unreachable: false});
    this.find = selector => root.querySelector(selector);
    const ask = (name, data) => this.ask(name, data);
    this.form = createForm(this.find('.train-form'), {ask, upload, folders, example, say: text => this.say(text), onStarted: id => this.choose(id)});
    this.view = createRunView(this.find('.train-run'), {ask, act: (what, id, extra) => this.act(what, id, extra)});
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
      this.say('The server does not answer. Is the program still running? Trainings go on without it.');
      this.unreachable = true;
      return null;
    }
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
      await new Promise(done => setTimeout(done, !now || this.runs?.some(run => !run.over) ? BUSY : IDLE));
    }
  }

  async refresh() {
    const answer = await this.ask('look', this.view.request());
    if (!answer) return;
    const first = this.runs === null;
    this.runs = answer.runs;
    this.list();
    if (this.chosen && !this.runs.some(run => run.id === this.chosen)) this.choose('');
    if (answer.shown) this.view.apply(answer.shown);
    if (first && !this.chosen) this.chooseActive();
  }

  /** Who opens the page while something trains wants to see that. */
  chooseActive() {
    const active = this.runs.find(run => !run.over);
    if (active) this.choose(active.id);
  }

  list() {
    this.root.dataset.state = this.runs.length ? 'some' : 'empty';
    const list = this.find('.train-runs');
    const known = new Map([...list.children].map(item => [item.dataset.id, item]));
    this.runs.forEach((run, at) => {
      const item = known.get(run.id) || this.item(run.id);
      known.delete(run.id);
      fill(item, run, run.id === this.chosen);
      if (list.children[at] !== item) list.insertBefore(item, list.children[at] || null);
    });
    for (const gone of known.values()) gone.remove();
  }

  item(id) {
    const button = node('button', {type: 'button'}, node('b'), node('span', {className: 'state'}), node('span', {className: 'pace'}), node('i', {className: 'bar'}, node('i')));
    button.addEventListener('click', () => this.choose(id));
    const item = node('li', {}, button);
    item.dataset.id = id;
    return item;
  }

  choose(id) {
    this.chosen = id;
    this.say('');
    this.find('.train-form').hidden = Boolean(id);
    this.find('.train-run').hidden = !id;
    this.find('.train-main').scrollTop = 0;
    this.view.show(id);
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
    if (what === 'discard') this.offerUndo(id);
    await this.refresh();
  }

  /** The form as it was filled for a run, to change what was wrong. */
  async again(id) {
    const filled = await this.ask('filled', {id});
    if (!filled) return;
    this.choose('');
    this.form.fill(filled);
  }

  offerUndo(id) {
    this.discarded = id;
    const bar = this.find('.train-undo');
    bar.querySelector('span').textContent = 'Discarded.';
    bar.hidden = false;
    clearTimeout(this.undoTimer);
    this.undoTimer = setTimeout(() => { bar.hidden = true; }, UNDO);
  }

  async undo() {
    this.find('.train-undo').hidden = true;
    if (!(await this.ask('restore', {id: this.discarded}))) return;
    await this.refresh();
    this.choose(this.discarded);
  }
}

// One line of the list; only what has changed is written, so that nothing flickers.
function fill(item, run, chosen) {
  const put = (selector, text) => { const place = item.querySelector(selector); if (place.textContent !== text) place.textContent = text; };
  item.dataset.state = run.state;
  item.firstChild.setAttribute('aria-current', chosen ? 'true' : 'false');
  put('b', run.name);
  put('.state', stateWord(run));
  put('.pace', run.over ? ago(run.updated || run.created) : run.remaining ? `about ${duration(run.remaining)} left` : '');
  item.querySelector('.bar').hidden = run.over || !run.total;
  item.querySelector('.bar i').style.width = `${run.total ? (100 * run.step) / run.total : 0}%`;
}
