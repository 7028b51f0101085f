// A new training: the folder and what is in it, what to start from, the fields, the time it will take.

import {UPLOAD_FAILED} from './calls.js';
import {createAdvanced} from './train_fields.js';
import {createGrid} from './train_grid.js';
import {createProgress} from './train_progress.js';
import {drawSurvey} from './train_survey.js';
import {LOSSES, PRESETS, duration, presetSaid} from './train_words.js';
import {node} from './text.js';

const TICK = 400; // ms between two questions while something is prepared
const SIZES = [64, 96, 128, 160, 192, 224, 256, 320, 384, 512];
const PICKED = ['data.size', 'loss.reconstruction', 'detector']; // fields with a place of their own

/** `ask(name, data)` calls the server; `onStarted(id, kind)` after a training ("run") or a grid search ("search") has begun. */
export function createForm(form, {ask, upload, folders, example, say, onStarted}) {
  return new TrainForm(form, {ask, upload, folders, example, say, onStarted});
}

class TrainForm {
  constructor(form, options) {
    Object.assign(this, options, {form, tab: `${Date.now()}-${Math.random()}`, excluded: new Map(), survey: null, job: null, turn: 0, suggested: '', offer: null});
    this.find = selector => form.querySelector(selector);
    this.field = name => form.elements[name];
    this.field('folder').placeholder = this.folders ? `e.g. ${this.example}` : 'Upload images instead';
    this.field('folder').disabled = !this.folders;
    this.advanced = createAdvanced(this.find('.train-advanced > div'), () => this.checkFields());
    this.grid = createGrid(this.find('.train-grid > div'), () => this.checkFields());
    this.waiting = createProgress(this.find, this.upload);
    this.listen();
    this.loaded();
  }

  listen() {
    this.form.addEventListener('submit', event => { event.preventDefault(); this.start(); });
    this.find('.train-check').addEventListener('click', () => this.check());
    this.field('folder').addEventListener('keydown', event => { if (event.key === 'Enter') { event.preventDefault(); this.check(); } });
    this.field('folder').addEventListener('input', () => this.forget());
    this.find('.train-estimate').addEventListener('click', () => this.estimate());
    this.find('.train-progress button').addEventListener('click', () => this.cancel());
    this.find('.train-upload input').addEventListener('change', event => this.take([...event.target.files]));
    for (const name of ['parent', 'preset']) {
      this.field(name).addEventListener('change', () => {
        const lost = Object.keys(this.advanced.changes()).length;
        this.rebase();
        if (lost) this.say(`What was changed under “Advanced” is as in ${this.field('parent').value ? 'that model' : 'the preset'} again.`);
      });
    }
    this.field('detector').addEventListener('change', () => this.followDetector());
    for (const name of PICKED) this.field(name).addEventListener('change', () => this.checkFields());
  }

  /** Whether the form has its choices by now; asked for again where the server did not answer. */
  async loaded() {
    this.loading ??= this.load();
    await this.loading;
    if (!this.offer) this.loading = null;
    return Boolean(this.offer);
  }

  async load() {
    this.offer = await this.ask('form');
    if (!this.offer) return;
    this.offerModels();
    options(this.field('preset'), [...Object.keys(PRESETS), ...Object.keys(this.offer.rivals)].map(name => [name, name]));
    options(this.field('detector'), [['panda', 'PANDA-GAN'], ...Object.entries(this.offer.rivals)]);
    options(this.field('loss.reconstruction'), Object.entries(LOSSES));
    this.advanced.build(this.offer.fields.filter(field => !PICKED.includes(field.name)));
    this.grid.build(this.offer.fields);
    this.rebase();
  }

  offerModels() {
    options(this.field('parent'), [['', 'Scratch'], ...Object.keys(this.offer.models).map(name => [name, `Fine-tune “${name}”`])]);
  }

  /** The models there are now; what was picked and changed stays, unless the picked one is gone. */
  async refreshModels() {
    if (!this.offer) return;
    const offer = await this.ask('form');
    if (!offer) return;
    const picked = this.field('parent').value; // after the wait, in which the form may have been filled
    this.offer = offer;
    this.offerModels();
    if (this.field('parent').value !== picked) this.rebase();
  }

  /** As it was filled for a training before, to be changed and tried again. */
  async fill({folder, name, parent, preset, changes, exclude, note}) {
    if (!(await this.loaded())) return;
    this.field('folder').value = folder;
    this.field('name').value = name;
    this.field('preset').value = preset;
    this.field('parent').value = parent in this.offer.models ? parent : '';
    this.forget();
    this.grid.clear();
    this.rebase();
    if ('data.size' in changes) this.offerSizes(changes['data.size']);
    for (const one of PICKED) if (one in changes) this.field(one).value = changes[one];
    this.advanced.fill(changes);
    this.find('.train-advanced').open = Object.keys(this.advanced.changes()).length > 0;
    for (const sha256 of exclude) this.excluded.set(sha256, {sha256});
    this.say(note);
  }

  /** The values everything starts from: the preset's, or those of the model to fine-tune. */
  base() {
    const parent = this.field('parent').value;
    return parent ? this.offer.models[parent] : this.offer.presets[this.field('preset').value];
  }

  offerSizes(own) {
    options(this.field('data.size'), [...new Set([...SIZES, own])].sort((a, b) => a - b).map(size => [size, `${size} × ${size}`]));
  }

  rebase() {
    const parent = this.field('parent').value;
    const base = this.base();
    this.offerSizes(base['data.size']);
    for (const name of PICKED) {
      this.field(name).value = base[name];
      this.field(name).disabled = Boolean(parent) || (name === 'loss.reconstruction' && base.detector !== 'panda');
    }
    this.field('preset').disabled = Boolean(parent);
    this.find('.train-preset').textContent = parent
      ? 'Keeps that model’s networks and takes a quarter of the steps of a training from scratch. Afterwards both are compared on the same held-out images.'
      : presetSaid(this.field('preset').value, this.offer.rivals);
    this.advanced.rebase(base, this.offer.unread[base.detector]);
    this.grid.rebase(base, this.offer.unread[base.detector]);
    this.forgetTime();
    if (this.grid.rows().length) this.checkFields();
  }

  /** Each system has a preset of its own: PANDA's numbers would say nothing about it. */
  followDetector() {
    const [detector, preset] = [this.field('detector').value, this.field('preset')];
    if (detector !== 'panda') preset.value = detector;
    else if (preset.value in this.offer.rivals) preset.value = 'best';
    this.rebase();
  }

  /** What the server needs to know: only what differs from the base. */
  wanted() {
    const base = this.base();
    const changes = this.advanced.changes();
    const picked = {'data.size': Number(this.field('data.size').value), 'loss.reconstruction': this.field('loss.reconstruction').value, detector: this.field('detector').value};
    for (const [name, value] of Object.entries(picked)) if (value !== base[name]) changes[name] = value;
    return {
      parent: this.field('parent').value, preset: this.field('preset').value, changes, exclude: [...this.excluded.keys()],
      grid: this.grid.rows(), name: this.field('name').value.trim(), low_priority: this.field('low_priority').checked,
    };
  }

  async checkFields() {
    if (!(await this.loaded())) return false;
    this.forgetTime();
    const asked = (this.asked = (this.asked || 0) + 1);
    const form = this.wanted();
    const [answer, grid] = await Promise.all([this.ask('problems', {form}), form.grid.length ? this.ask('grid', {form}) : {problems: {}, count: 0}]);
    if (!answer || !grid) return false;
    if (asked !== this.asked) return false; // a later question is under way, and its answer is the one to show
    this.advanced.complain(answer.problems);
    this.grid.complain(grid);
    this.find('.train-start').textContent = form.grid.length ? `Start grid search${grid.count ? ` (${grid.count})` : ''}` : 'Start training';
    if (this.survey) this.showSurvey(); // other settings hold out another share
    this.say(answer.problems[''] || Object.entries(answer.problems).filter(([name]) => !this.advanced.has(name)).map(([, text]) => text).join(' '));
    return Object.keys(answer.problems).length === 0 && Object.keys(grid.problems).length === 0;
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
    return {tab: this.tab, folder: this.field('folder').value, form: this.wanted()};
  }

  /** Look through the folder, with the progress beside the button `by`; whether that went well. */
  async check(by = '.train-check') {
    if (!(await this.loaded())) return false;
    const [basis, folder] = [this.basis(), this.field('folder').value];
    const found = await this.prepare('check', by);
    if (!found?.survey || this.field('folder').value !== folder) return false; // it is of another folder by now
    this.survey = found.survey;
    // A training that is changed and tried again knows by their content alone what was left out of it.
    for (const one of found.survey.excluded) if (this.excluded.has(one.sha256) && !this.excluded.get(one.sha256).path) this.excluded.set(one.sha256, one);
    this.checked = basis;
    if (this.field('name').value === this.suggested) {
      this.suggested = this.field('name').value = found.survey.folder.split(/[\\/]/).filter(Boolean).pop().slice(0, 60);
    }
    this.showSurvey();
    return true;
  }

  showSurvey() {
    const place = this.find('.train-survey');
    const decided = sha256 => {
      this.showSurvey();
      this.forgetTime();
      place.querySelector(`button[data-sha256="${sha256}"]`)?.focus();
    };
    const values = this.values();
    const [stale, own] = [this.basis() !== this.checked, values['data.deep_low'] === values['data.deep_high']];
    drawSurvey(place, this.survey, {
      excluded: this.excluded, stale, range: this.survey.deep && own ? this.survey.deep_range : null,
      onChange: decided, onAgain: () => this.check(), onRange: () => this.readByOneRange(),
    });
    place.hidden = false;
  }

  /** The range that was found becomes that of the training, and of its model. */
  async readByOneRange() {
    const [low, high] = this.survey.deep_range;
    this.advanced.fill({'data.deep_low': low, 'data.deep_high': high});
    this.find('.train-advanced').open = true;
    if (await this.checkFields()) await this.check();
  }

  values() {
    return {...this.base(), ...this.wanted().changes};
  }

  /** What a check depends on. */
  basis() {
    const values = this.values();
    const named = ['data.minimum', 'data.validation_fraction', 'data.deep_low', 'data.deep_high'].map(name => values[name]);
    return JSON.stringify([this.field('folder').value, [...this.excluded.keys()].sort(), named]);
  }

  async estimate() {
    if (!(await this.loaded())) return;
    this.forgetTime();
    const basis = this.basis();
    const found = await this.prepare('estimate', '.train-estimate');
    if (!found?.estimate || this.basis() !== basis) return; // it is of another folder by now
    const {seconds, device, images, whole} = found.estimate;
    const one = `About ${duration(seconds)} on ${device}, for ${images} images: measured on a few real steps just now.`;
    this.find('.train-time').textContent = whole ? `About ${duration(whole)} for all trainings. One by itself: a${one.slice(1)}` : one;
  }

  /** Begin a preparation and follow it to its end; null where it was cancelled or failed, which is said, or another has taken its place. */
  async prepare(what, by) {
    if (!this.field('folder').value.trim()) { this.say('Type the folder of normal images, or upload some.'); return null; }
    this.say('');
    this.waiting.place(by);
    const turn = ++this.turn;
    let now = await this.ask(what, this.request());
    if (turn === this.turn) this.job = now?.id;
    while (turn === this.turn && now?.state === 'running') {
      this.waiting.show(now);
      await new Promise(done => setTimeout(done, TICK));
      if (turn === this.turn) now = await this.ask('prepared', {id: this.job});
    }
    if (turn !== this.turn) return null;
    this.waiting.show(null);
    this.job = null;
    if (now?.message) this.say(now.message);
    return now && now.state === 'done' ? now : null;
  }

  cancel() {
    this.waiting.halt();
    if (this.job) this.ask('stop', {id: this.job});
  }

  async take(files) {
    if (!files.length) return;
    this.say('');
    this.waiting.place('.train-check');
    const kept = await this.waiting.send(files).catch(() => { this.say(UPLOAD_FAILED); });
    this.find('.train-upload input').value = '';
    const answer = kept && await this.ask('keep', {files: kept});
    if (!answer) return;
    this.field('folder').value = answer.folder;
    this.forget();
    this.check();
  }

  async start() {
    if (!this.field('folder').value.trim()) return this.say('Type the folder of normal images, or upload some.');
    if (!(await this.checkFields())) { this.showWrong(); return; }
    if (!(await this.lookedThrough())) return;
    const button = this.find('.train-start');
    button.disabled = true;
    const kind = this.grid.rows().length ? 'search' : 'run';
    const answer = await this.ask(kind === 'search' ? 'search' : 'start', this.request());
    button.disabled = false;
    if (answer) { this.say(''); this.onStarted(answer.id, kind); }
  }

  /** Bring the first field that is wrong into sight: it may be folded away. */
  showWrong() {
    const wrong = [...this.form.querySelectorAll('[aria-invalid="true"]')];
    if (!wrong.length) return;
    this.say(wrong.length === 1 ? 'A field is wrong; it says below why.' : `${wrong.length} fields are wrong; they say below why.`);
    for (const one of wrong) one.closest('details')?.setAttribute('open', '');
    wrong[0].scrollIntoView({block: 'center'});
    wrong[0].focus({preventScroll: true});
  }

  /** Whether the folder, as it is to be used, has been checked, a person has seen what does not belong, and it is enough. */
  async lookedThrough() {
    const unseen = !this.survey;
    if ((unseen || this.basis() !== this.checked) && !(await this.check('.train-start'))) return false;
    if (!this.survey.usable) this.say(this.survey.advice[0]);
    else if (unseen && this.survey.suspects.length) this.say('Some images are unlike the rest. Look at them below, leave out what is not normal, and start again.');
    else return true;
    return false;
  }
}

function options(select, entries) {
  const before = select.value;
  select.replaceChildren(...entries.map(([value, textContent]) => node('option', {value, textContent})));
  if (entries.some(([value]) => String(value) === before)) select.value = before;
}
