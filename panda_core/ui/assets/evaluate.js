// The Evaluate tab: which folder, which models, how far it is. What came of it is evaluate_results.js.

import {SILENT, UPLOAD_FAILED} from './calls.js';
import {createResults} from './evaluate_results.js';
import {keepAlive, remember, remembered} from './memory.js';
import {pace} from './pace.js';
import {node, served} from './text.js';

const TICK = 500; // ms between two questions while a job runs
const RETRY = 2000; // ms after a question that got no answer
const REMEMBERED = 'panda-evaluation'; // of this browser tab: a page that is loaded again finds its results
const FORM = 'panda-evaluation-form'; // the same for what was asked for

export function mount({element, props, trigger, server, upload}) {
  new Evaluate(element.querySelector('.evaluate'), {trigger, server, upload, folders: props.value?.folders !== false, example: props.value?.example || ''});
}

class Evaluate {
  constructor(root, options) {
    Object.assign(this, options, {root, tab: `${Date.now()}-${Math.random()}`, id: '', known: 0, file: null, chosen: new Set(), polled: ''});
    this.find = selector => root.querySelector(selector);
    this.form = this.find('form');
    this.form.elements.folder.disabled = !this.folders;
    this.form.elements.folder.placeholder = this.folders ? `e.g. ${this.example}` : 'Upload a zip file instead';
    this.results = createResults(this.find('.evaluate-results'), {
      onOpen: (model, order, index) => this.trigger('open', {id: this.id, model, order, index}),
      onKeep: number => this.keep(number),
    });
    this.listen();
    this.restore();
  }

  listen() {
    this.form.addEventListener('submit', event => { event.preventDefault(); this.begin(); });
    this.form.elements.folder.addEventListener('input', () => this.forgetFile());
    this.find('.evaluate-upload input').addEventListener('change', event => this.take(event.target));
    this.find('.evaluate-cancel').addEventListener('click', event => { event.target.disabled = true; this.ask('cancel', {id: this.id}); });
    for (const button of this.root.querySelectorAll('[data-export]')) button.addEventListener('click', () => this.export(button));
    new IntersectionObserver(seen => seen.some(one => one.isIntersecting) && this.listModels()).observe(this.root); // another tab may have made a model
    keepAlive(() => this.id && !this.polled && this.server.look({id: this.id, known: this.known}));
  }

  /** Call the server; null and a message where it says no or nothing. */
  async ask(name, data = {}) {
    try {
      const answer = await this.server[name](data);
      if (answer?.error) this.say(answer.error);
      return answer?.error ? null : answer;
    } catch {
      this.say(SILENT);
      return null;
    }
  }

  say(text, tone = 'bad') {
    const line = this.find('.evaluate-message');
    line.textContent = text;
    line.hidden = !text;
    line.dataset.tone = tone;
  }

  async listModels() {
    const answer = await this.ask('models');
    if (!answer || JSON.stringify(answer.models) === this.listed) return;
    this.listed = JSON.stringify(answer.models);
    const usable = answer.models.filter(one => !one.problem);
    this.chosen = new Set(usable.map(one => one.name).filter(name => this.chosen.has(name)));
    if (!this.chosen.size && usable.length) this.chosen.add(usable[0].name);
    const place = this.find('.evaluate-models div');
    place.replaceChildren(...answer.models.map(one => this.choice(one)));
    if (!answer.models.length) place.textContent = 'No model yet. Train one in the tab Train, or import one in the tab Models.';
  }

  choice({name, title, problem}) {
    const box = node('input', {type: 'checkbox', name: 'model', value: name, checked: this.chosen.has(name), disabled: Boolean(problem)});
    box.addEventListener('change', () => (box.checked ? this.chosen.add(name) : this.chosen.delete(name)));
    return node('label', {title: problem || name}, box, node('span', {textContent: title}));
  }

  async take(input) {
    const [file] = input.files;
    if (!file) return;
    this.say('');
    this.progress({what: 'Uploading', state: 'running', total: 0});
    try {
      this.file = (await this.upload(file)).path;
      this.form.elements.folder.value = file.name;
    } catch {
      this.say(UPLOAD_FAILED);
    }
    input.value = '';
    this.progress(null);
  }

  forgetFile() {
    this.file = null;
  }

  async begin() {
    this.say('');
    const models = [...this.root.querySelectorAll('[name=model]:checked')].map(box => box.value);
    this.find('.evaluate-start').disabled = true;
    const answer = await this.ask('begin', {tab: this.tab, folder: this.form.elements.folder.value, file: this.file, models});
    this.find('.evaluate-start').disabled = Boolean(answer);
    if (!answer) return;
    remember(FORM, JSON.stringify({folder: this.form.elements.folder.value, models}));
    this.follow(answer.id);
  }

  /** Results of another evaluation come now. */
  follow(id) {
    Object.assign(this, {id, known: 0});
    remember(REMEMBERED, id);
    this.results.clear();
    this.root.dataset.state = 'working';
    this.find('.evaluate-start').disabled = true;
    this.poll();
  }

  async restore() {
    const id = remembered(REMEMBERED);
    const answer = id && await this.server.look({id, known: 0}).catch(() => null);
    if (!answer || answer.gone || this.id) return;
    const asked = JSON.parse(remembered(FORM) || '{}');
    if (this.folders && !this.form.elements.folder.value) this.form.elements.folder.value = asked.folder || '';
    this.chosen = new Set(asked.models || []);
    for (const box of this.root.querySelectorAll('[name=model]')) box.checked = this.chosen.has(box.value);
    this.follow(id);
  }

  /** Ask how things stand as long as something is going on; one loop for an evaluation. */
  async poll() {
    const id = this.id;
    if (this.polled === id) return;
    this.polled = id;
    for (;;) {
      const answer = await this.ask('look', {id, known: this.known});
      if (id !== this.id || !this.root.isConnected) return;
      if (answer) this.apply(answer);
      if (answer && !answer.working) break;
      await new Promise(done => setTimeout(done, answer ? TICK : RETRY));
    }
    this.polled = '';
    this.find('.evaluate-start').disabled = false;
  }

  apply(answer) {
    if (answer.gone) { this.progress(null); this.settle(false); this.say(answer.message); return; }
    this.progress(answer.job);
    this.say([answer.job?.message, ...(answer.failures || [])].filter(Boolean).join(' ') || answer.note, answer.job?.message || answer.failures?.length ? 'bad' : 'plain');
    if (answer.results.length && answer.from === this.known) {
      this.known += answer.results.length;
      this.results.add(answer.title, answer.results);
    }
    this.settle(answer.working);
    if (answer.job?.state === 'stopped') this.say(this.known ? 'Cancelled. The models that were finished are shown.' : 'Cancelled: no model was finished, so there is nothing to show.', 'plain');
  }

  settle(working) {
    const state = working ? 'working' : this.known ? 'ready' : 'empty';
    this.root.dataset.state = state;
    this.find('.evaluate-results').hidden = !this.known;
    this.find('.evaluate-intro').hidden = state !== 'empty';
  }

  progress(job) {
    const running = job?.state === 'running';
    this.find('.evaluate-progress').hidden = !running;
    if (!running) return;
    const bar = this.find('.evaluate-bar');
    const share = job.total ? job.done / job.total : 0;
    bar.dataset.known = job.total ? 'yes' : 'no';
    bar.ariaValueNow = String(Math.round(100 * share));
    bar.firstElementChild.style.width = `${100 * share}%`;
    this.find('.evaluate-pace').textContent = pace(job);
    this.find('.evaluate-cancel').hidden = job.what === 'Uploading';
    this.find('.evaluate-cancel').disabled = false;
  }

  async keep(number) {
    const answer = await this.ask('keep', {id: this.id, number});
    if (answer) this.say(answer.message, answer.gone ? 'bad' : 'plain');
    if (!answer || answer.gone) return false;
    this.trigger('kept', {});
    return true;
  }

  async export(button) {
    button.disabled = true;
    const answer = await this.ask('export', {id: this.id, kind: button.dataset.export});
    button.disabled = false;
    if (answer?.gone) this.say(answer.message);
    else if (answer) node('a', {href: served(answer.download), download: answer.name}).click();
  }
}
