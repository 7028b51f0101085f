// The Inspect tab in the browser: one image's pictures, map and numbers come once; sliders, views and zoom never ask the server.
import {createCard} from './decision.js';
import {acceptDrops, acceptPaste, uploadAll} from './intake.js';
import {bindKeys, createHelp} from './keys.js';
import {overlap} from './overlap.js';
import {loadPayload, loadTruth} from './payload.js';
import {createFinder, toOriginal} from './regions.js';
import {saveSheet, wordsOf} from './picture.js';
import {createRoiDialog} from './roi_dialog.js';
import {Stage} from './stage.js';

const HINT = 'Drop an image to inspect it; several, or a folder, become a list';
const REST = 200; // milliseconds without movement after which a drag is painted in full

/** See component.py. Events: upload {paths, names}, release, step {by}, mark {mark}, region {shapes}, truth {path}, save {boundary, pixel_threshold, who,
 * why} (null for both: give the saved point up; of truth: take it away); all but upload carry `id`. */
export function mount(parts) {
  const viewer = new Viewer(parts);
  parts.watch('value', () => viewer.take(parts.props.value));
  viewer.take(parts.props.value);
}

class Viewer {
  #parts;
  #root;
  #stage;
  #card;
  #payload = null;
  #loaded = null;
  #finders = {small: createFinder(), map: createFinder()};
  #turn = 0;
  #uploads = 0;
  #frame = 0;
  #whole = false;
  #moving = false;
  #rest = 0;
  #said = null; // verdict and regions at the thresholds that were painted last; null where nothing is shown
  #painted = {share: 0, overlap: null};

  constructor(parts) {
    this.#parts = parts;
    this.#root = parts.element.querySelector('.viewer');
    const help = createHelp();
    const region = createRoiDialog({onApply: shapes => this.#send('region', {shapes})});
    const step = by => this.#send('step', {by});
    this.#stage = new Stage({
      ask: whole => this.#ask(whole), onStep: step, onHelp: help.open, onRegion: () => this.#payload && region.open(this.#payload),
      onTruth: file => this.#truth(file),
    });
    this.#card = createCard({
      onMove: () => this.#move(),
      onRelease: () => this.#release(),
      onSave: form => this.#save(form),
      onForget: () => this.#send('save', {boundary: null, pixel_threshold: null, who: '', why: ''}),
      onMark: name => this.#mark(name),
      onPicture: () => this.#picture(),
      onPoint: index => this.#stage.point(index),
      onRegion: index => this.#stage.zoomTo(index),
    });
    this.#root.replaceChildren(this.#stage.element, this.#card.element, help.element, region.element);
    acceptDrops(this.#root, {
      kinds: this.#root.dataset.kinds || '', hint: HINT, take: files => this.#upload(files), refuse: text => this.#stage.say(text),
    });
    acceptPaste(this.#root, files => this.#upload(files));
    bindKeys(this.#root, {
      step,
      nudge: share => this.#payload && this.#card.thresholds.nudge(share),
      reset: () => this.#payload && this.#card.thresholds.reset(),
      mark: name => this.#mark(name),
      view: key => this.#stage.chooseByKey(key),
      picture: () => this.#picture(),
      zoom: () => this.#stage.toggleZoom(),
      zoomBy: factor => this.#stage.zoomBy(factor),
      help: help.open,
    });
  }

  /** A new value from the server: an inspection, a notice, or a word about the inspection that is already shown. */
  take(value) {
    if (!value) return;
    this.#stage.place(value.position);
    if (value.notice) this.#notice(value.notice);
    else if (value.id === this.#payload?.id) this.#hear(value);
    else this.#open(value);
  }

  // The image that is shown, again: with a message, or with another true mask.
  async #hear(value) {
    if (value.message) this.#card.thresholds.say(value.message);
    this.#stage.say(value.word || '');
    if (value.files.truth?.url === this.#payload.files.truth?.url) return;
    const [turn, loaded] = [this.#turn, this.#loaded];
    const truth = await loadTruth(value);
    if (turn !== this.#turn) return;
    this.#payload = value;
    loaded.grids.truth = truth;
    this.#stage.compare(value);
  }

  #notice(notice) {
    this.#turn++;
    this.#payload = this.#loaded = this.#said = null;
    this.#card.clear();
    this.#stage.notice(notice);
    this.#root.dataset.state = notice.kind;
  }

  async #open(payload) {
    const turn = ++this.#turn;
    try {
      const loaded = await loadPayload(payload);
      if (turn !== this.#turn) return; // a later image is on its way
      this.#payload = payload;
      this.#loaded = loaded;
      this.#moving = false;
      this.#said = null;
      this.#root.dataset.state = 'ready';
      this.#root.dataset.name = payload.name;
      this.#root.dataset.mark = payload.mark || '';
      this.#card.open(payload);
      this.#stage.show(loaded, payload);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#notice({title: 'The result did not arrive', text: `${error.message} Open the image again.`, kind: 'error'});
    }
  }

  #ask(whole) {
    this.#whole ||= whole;
    this.#frame ||= requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    this.#frame = 0;
    if (!this.#loaded) return;
    const grid = this.#moving ? 'small' : 'map';
    const found = this.#finders[grid](this.#loaded.grids[grid], this.#card.thresholds.get().pixel);
    const {truth} = this.#loaded.grids;
    const agreed = truth && overlap(found, truth);
    // The stage first: it may read sizes, which after a change of the card would cost a layout of the page.
    this.#stage.paint(found, agreed, this.#whole);
    const regions = toOriginal(found.regions, found.grid, this.#payload);
    this.#said = this.#card.update({share: found.share, regions, overlap: agreed}, this.#moving);
    this.#painted = {share: found.share, overlap: agreed};
    this.#whole = false;
    this.#root.dataset.painted = String(1 + Number(this.#root.dataset.painted || 0));
  }

  #move() {
    clearTimeout(this.#rest);
    this.#moving = true;
    this.#rest = setTimeout(() => this.#settle(), REST);
    this.#ask(false);
  }

  #settle() {
    clearTimeout(this.#rest);
    this.#moving = false;
    this.#ask(false);
  }

  // What the page says at these thresholds goes to the server once, which checks it.
  #release() {
    this.#settle();
    const {boundary, pixel, moved} = this.#card.thresholds.get();
    const turn = this.#turn;
    const thresholds = {boundary: moved.boundary ? boundary : null, pixel_threshold: moved.pixel ? pixel : null};
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (turn === this.#turn) this.#send('release', {...thresholds, ...this.#said});
    }));
  }

  #save(form) {
    const {boundary, pixel} = this.#card.thresholds.get();
    this.#send('save', {boundary, pixel_threshold: pixel, ...form});
  }

  #mark(name) {
    if (!this.#payload) return;
    const mark = this.#root.dataset.mark === name ? '' : name;
    this.#card.mark(mark);
    this.#root.dataset.mark = mark;
    this.#send('mark', {mark});
  }

  // A mask chosen from the person's files goes to the server, which checks it and brings it to the image's size; null takes it away.
  async #truth(file) {
    const turn = this.#turn;
    try {
      const path = file && (await this.#parts.upload(file)).path;
      if (turn === this.#turn) this.#send('truth', {path});
    } catch (error) {
      this.#stage.say(`${file.name} did not arrive: ${error.message || error}`);
    }
  }

  // As the page says it now, moved thresholds included: nothing is asked of the server.
  #picture() {
    if (!this.#said) return;
    const payload = {...this.#payload, mark: this.#root.dataset.mark};
    const lines = wordsOf(payload, this.#card.thresholds.get(), {...this.#said, ...this.#painted}, new Date());
    saveSheet(this.#stage.sheet(lines), payload.name);
  }

  #send(event, data) {
    this.#parts.trigger(event, {...data, id: this.#payload?.id || ''});
  }

  async #upload(files) {
    const mine = ++this.#uploads;
    this.#notice({title: 'Inspecting…', text: files.length > 1 ? `${files.length} images` : files[0].name, kind: 'busy'});
    try {
      const paths = await uploadAll(files, this.#parts.upload);
      if (mine === this.#uploads) this.#parts.trigger('upload', {paths, names: files.map(({name}) => name)});
    } catch (error) {
      if (mine === this.#uploads) this.#notice({title: `${files[0].name} did not arrive`, text: `${error.message || error} Try again.`, kind: 'error'});
    }
  }
}
