// A new training: the folder and what is in it, what to start from, the fields, the time it will take.

import {createAdvanced} from './train_fields.js';
import {drawSurvey} from './train_survey.js';
import {duration} from './train_words.js';
import {node} from './text.js';

const TICK = 400; // ms between two questions while something is prepared
const SIZES = [64, 96, 128, 160, 192, 224, 256, 320, 384, 512];
const SAID = {
  best: 'The paper’s three errors, trained so that it stays stable, plus perceptual evidence. What to take if you are not sure.',
  balanced: 'The paper’s three errors only, trained so that it stays stable.',
  paper: 'The paper to the letter, with its 20,000 steps: days without a GPU.',
  tiny: 'Seconds on 32 × 32 pixels: to try the way, not to inspect with.',
};
const LOSSES = {pixel: 'Pixels', 'perceptual-general': 'Perceptual, ImageNet', 'perceptual-specific': 'Perceptual, trained on this folder'};

/** `ask(name, data)` calls the server; `onStarted(id)` after a training has begun. */
export function createForm(form, {ask, upload, folders, example, say, onStarted}) {
  return new TrainForm(form, {ask, upload, folders, example, say, onStarted});
}

class TrainForm {
  constructor(form, options) {
    Object.assign(this, options, {form, tab: `${Date.now()}-${Math.random()}`, excluded: new Set(), survey: null, job: null, offer: null});
    this.find = selector => form.querySelector(selector);
    this.field = name => form.elements[name];
    this.field('folder').placeholder = this.folders ? `e.g. ${this.example}` : 'Upload images instead';
    this.field('folder').disabled = !this.folders;
    this.advanced = createAdvanced(this.find('.train-advanced > div'), () => this.checkFields());
    this.listen();
    this.load();
  }

  listen() {
    this.form.addEventListener('submit', event => { event.preventDefault(); this.start(); });
    this.find('.train-check').addEventListener('click', () => this.check());
    this.field('folder').addEventListener('keydown', event => { if (event.key === 'Enter') { event.preventDefault(); this.check(); } });
    this.field('folder').addEventListener('input', () => this.forget());
    this.find('.train-estimate').addEventListener('click', () => this.estimate());
    this.find('.train-progress button').addEventListener('click', () => this.job && this.ask('stop', {id: this.job}));
    this.find('.train-upload input').addEventListener('change', event => this.take([...event.target.files]));
    for (const name of ['parent', 'preset']) this.field(name).addEventListener('change', () => this.rebase());
    for (const name of ['data.size', 'loss.reconstruction', 'detector']) this.field(name).addEventListener('change', () => this.checkFields());
  }

  async load() {
    this.offer = await this.ask('form');
    if (!this.offer) return;
    const models = Object.keys(this.offer.models);
    options(this.field('parent'), [['', 'Scratch'], ...models.map(name => [name, `Fine-tune “${name}”`])]);
    options(this.field('preset'), Object.keys(SAID).map(name => [name, name]));
    options(this.field('detector'), [['panda', 'PANDA-GAN'], ['vae', 'VAE (generator alone)']]);
    options(this.field('loss.reconstruction'), Object.entries(LOSSES));
    this.advanced.build(this.offer.fields.filter(field => !['detector', 'data.size', 'loss.reconstruction'].includes(field.name)));
    this.rebase();
  }

  /** The values everything starts from: the preset's, or those of the model to fine-tune. */
  base() {
    const parent = this.field('parent').value;
    return parent ? this.offer.models[parent] : this.offer.presets[this.field('preset').value];
  }

  rebase() {
    const parent = this.field('parent').value;
    const base = this.base();
    options(this.field('data.size'), [...new Set([...SIZES, base['data.size']])].sort((a, b) => a - b).map(size => [size, `${size} × ${size}`]));
    for (const name of ['data.size', 'loss.reconstruction', 'detector']) {
      this.field(name).value = base[name];
      this.field(name).disabled = Boolean(parent);
    }
    this.field('preset').disabled = Boolean(parent);
    this.find('.train-preset').textContent = parent
      ? 'Keeps that model’s networks and takes a quarter of its steps. Afterwards both are compared on the same held-out images.'
      : SAID[this.field('preset').value];
    this.advanced.rebase(base);
    this.forgetTime();
  }

  /** What the server needs to know: only what differs from the base. */
  wanted() {
    const base = this.base();
    const changes = this.advanced.changes();
    const picked = {'data.size': Number(this.field('data.size').value), 'loss.reconstruction': this.field('loss.reconstruction').value, detector: this.field('detector').value};
    for (const [name, value] of Object.entries(picked)) if (value !== base[name]) changes[name] = value;
    return {
      parent: this.field('parent').value, preset: this.field('preset').value, changes, exclude: [...this.excluded],
      name: this.field('name').value.trim(), low_priority: this.field('low_priority').checked,
    };
  }

  async checkFields() {
    this.forgetTime();
    const answer = await this.ask('problems', {form: this.wanted()});
    if (!answer) return false;
    this.advanced.complain(answer.problems);
    this.say(answer.problems[''] || Object.entries(answer.problems).filter(([name]) => !this.advanced.has(name)).map(([, text]) => text).join(' '));
    return Object.keys(answer.problems).length === 0;
  }

  forget() {
    this.survey = null;
    this.excluded.clear();
    this.find('.train-survey').hidden = true;
    this.forgetTime();
  }

  forgetTime() {
    this.find('.train-time').textContent = '';
  }

  request() {
    return {tab: this.tab, folder: this.field('folder').value, form: this.wanted(), exclude: [...this.excluded]};
  }

  async check() {
    const found = await this.prepare('check');
    if (!found?.survey) return;
    this.survey = found.survey;
    if (!this.field('name').value) this.field('name').value = found.survey.folder.split(/[\\/]/).filter(Boolean).pop().slice(0, 60);
    drawSurvey(this.find('.train-survey'), found.survey, {excluded: this.excluded, onChange: () => this.check()});
    this.find('.train-survey').hidden = false;
  }

  async estimate() {
    this.forgetTime();
    const found = await this.prepare('estimate');
    if (!found?.estimate) return;
    const {seconds, device, images} = found.estimate;
    this.find('.train-time').textContent = `About ${duration(seconds)} on ${device}, for ${images} images: measured on a few real steps just now.`;
  }

  /** Begin a preparation and follow it to its end; null where it was cancelled or failed, which is said. */
  async prepare(what) {
    if (!this.field('folder').value.trim()) { this.say('Type the folder of normal images, or upload some.'); return null; }
    this.say('');
    let now = await this.ask(what, this.request());
    this.job = now?.id;
    while (now && now.state === 'running') {
      this.progress(now);
      await new Promise(done => setTimeout(done, TICK));
      now = await this.ask('prepared', {id: this.job});
    }
    this.progress(null);
    this.job = null;
    if (now?.message) this.say(now.message);
    return now && now.state === 'done' ? now : null;
  }

  progress(now) {
    const bar = this.find('.train-progress');
    bar.hidden = !now;
    if (!now) return;
    bar.querySelector('.train-bar').dataset.known = now.total ? 'yes' : 'no';
    bar.querySelector('i').style.width = now.total ? `${(100 * now.done) / now.total}%` : '30%';
    bar.querySelector('span').textContent = now.total ? `${now.what}: ${now.done} of ${now.total}` : `${now.what}…`;
  }

  async take(files) {
    if (!files.length) return;
    this.say('');
    this.progress({what: 'Uploading', total: files.length, done: 0});
    const kept = [];
    try {
      for (const file of files) {
        kept.push((await this.upload(file)).path);
        this.progress({what: 'Uploading', total: files.length, done: kept.length});
      }
    } catch {
      this.say('The upload was interrupted. Try again.');
    }
    this.progress(null);
    this.find('.train-upload input').value = '';
    const answer = kept.length === files.length ? await this.ask('keep', {files: kept}) : null;
    if (!answer) return;
    this.field('folder').value = answer.folder;
    this.forget();
    this.check();
  }

  async start() {
    if (!this.field('folder').value.trim()) return this.say('Type the folder of normal images, or upload some.');
    if (!(await this.checkFields())) return;
    if (!this.survey) await this.check();
    if (!this.survey) return;
    if (!this.survey.usable) return this.say(this.survey.advice[0]);
    const button = this.find('.train-start');
    button.disabled = true;
    const answer = await this.ask('start', this.request());
    button.disabled = false;
    if (answer) { this.say(''); this.onStarted(answer.id); }
  }
}

function options(select, entries) {
  const before = select.value;
  select.replaceChildren(...entries.map(([value, textContent]) => node('option', {value, textContent})));
  if (entries.some(([value]) => String(value) === before)) select.value = before;
}
