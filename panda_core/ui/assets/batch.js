// The batch: rows that stream in, verdicts that follow the sliders at once, review by keyboard, exports.

import {SILENT, UPLOAD_FAILED} from './calls.js';
import {createTable} from './table.js';
import {createThreshold} from './batch_threshold.js';
import {acceptDrops, uploadAll} from './intake.js';
import {keepAlive, remember, remembered} from './memory.js';
import {pace} from './pace.js';
import {node, number, served} from './text.js';

const IDLE = 'Drop images, folders or a zip file here, or choose them above. Each image gets a verdict; thousands are fine.';
const HINT = 'Drop images, folders or a zip file to inspect them all';
const NO_MATCH = 'No image matches. Choose “All” and clear the text.';

const REMEMBERED = 'panda-batch'; // in the browser tab's memory: the batch it has

const TICK = 500; // ms between two questions at the beginning of a job
const SLOW_TICK = 1500; // ms once there is something to look at: each question takes time from the inspection
const QUICK_TICK = 150; // ms when it is nearly over
const RETRY = 2000; // ms after a question that got no answer

export function mount({element, props, trigger, watch, upload, server}) {
  const batch = new Batch(element.querySelector('.batch'), {trigger, upload, server});
  watch('value', () => batch.begin(props.value));
  batch.begin(props.value);
  batch.restore();
}

/** The part below the source row; `trigger`, `upload` and `server` as the component gets them. */
export class Batch {
  constructor(root, {trigger, upload, server}) {
    Object.assign(this, {root, trigger, upload, server, id: '', known: 0, show: 'all', text: '', refused: '', downloaded: 0, counted: null, sending: null});
    this.find = selector => root.querySelector(selector);
    this.table = createTable(this.find('.batch-table'), {
      label: 'Images of the batch',
      rowHeight: 44,
      empty: IDLE,
      columns: this.columns(),
      onOpen: (row, index) => this.trigger('open', {id: this.id, order: this.table.visibleRows().map(one => one.id), index}),
    });
    this.boundary = createThreshold(root, 'boundary', {onMove: () => this.judge(), onSet: () => this.settle()});
    this.pixel = createThreshold(root, 'pixel', {onMove: () => this.judge(), onSet: () => this.settle()});
    this.listen();
  }

  columns() {
    return [
      {key: 'picture', label: '', kind: 'image', width: 58},
      {key: 'name', label: 'Image', kind: 'text', format: (name, row) => (row.problem ? `${name} – ${row.problem}` : name)},
      {key: 'verdict', label: 'Verdict', kind: 'badge', format: (_, row) => badge(this.verdict(row)), sortBy: row => RANK[this.verdict(row)]},
      {key: 'score', label: 'Score', kind: 'number', width: 78, format: written},
      {key: 'margin', label: 'Margin', kind: 'number', width: 82, wide: true, format: (_, row) => written(this.margin(row), {sign: true}), sortBy: row => row.score},
      {key: 'regions', label: 'Regions', kind: 'number', width: 82, wide: true, format: (count, row) => this.regions(count, row)},
      {key: 'peak', label: 'Peak SD', kind: 'number', width: 82, wide: true, format: written},
      {key: 'ms', label: 'ms', kind: 'number', width: 64, wide: true, format: value => value && value.toFixed(0)},
      {key: 'mark', label: 'Your mark', kind: 'badge', width: 104, wide: true, format: mark => mark && {text: mark, tone: mark}},
    ];
  }

  listen() {
    for (const chip of this.root.querySelectorAll('[data-show]')) chip.addEventListener('click', () => this.choose(chip.dataset.show));
    for (const button of this.root.querySelectorAll('[data-export]')) button.addEventListener('click', () => this.export(button));
    this.find('.batch-filter').addEventListener('input', event => { this.text = event.target.value.trim().toLowerCase(); this.filter(); });
    this.find('.batch-cancel').addEventListener('click', event => { event.target.disabled = true; this.cancel(); });
    this.find('.batch-reset').addEventListener('click', () => { this.boundary.reset(); this.pixel.reset(); this.judge(); this.settle(); });
    this.find('.batch-table').addEventListener('keydown', event => this.press(event));
    // Marks may have been given in another tab meanwhile.
    new IntersectionObserver(seen => seen.some(one => one.isIntersecting) && this.id && this.ask('look', {known: this.known, marks: true})).observe(this.root);
    keepAlive(() => this.id && !this.polled && this.server.look({id: this.id, known: this.known}));
    acceptDrops(this.root.closest('#batch'), {
      kinds: this.root.dataset.kinds, hint: HINT, take: (files, left) => this.send(files, left), refuse: text => this.showMessage(text, true),
    });
  }

  /** Bring dropped files to the server, which begins a batch with them; what was going on before ends. */
  async send(files, left) {
    if (this.sending) return;
    this.cancel();
    const sending = this.sending = {stopped: false};
    this.id = '';
    this.clear();
    this.refuse('');
    const show = done => this.showJob({what: 'Uploading', state: 'running', done, total: files.length, rate: 0, remaining: null});
    show(0);
    try {
      const paths = await uploadAll(files, this.upload, {onStep: show, stopped: () => sending.stopped});
      this.showJob({state: 'done'});
      if (!sending.stopped) this.trigger('upload', {paths, names: files.map(({name}) => name), left});
    } catch {
      sending.stopped = true;
      this.showJob({state: 'failed'});
      this.showMessage(UPLOAD_FAILED, true);
    }
    this.sending = null;
  }

  cancel() {
    if (this.sending) this.sending.stopped = true;
    else if (this.id) this.ask('cancel', {});
  }

  /** The server has begun a batch, or says why it has not. */
  begin(value) {
    if (value?.refused) { this.refuse(value.message); return; }
    if (!value?.id || value.id === this.id) return;
    if (this.id) this.server.cancel({id: this.id}).catch(() => {}); // after a reload the server does not know whose it was
    this.clear();
    this.id = value.id;
    remember(REMEMBERED, value.id);
    this.refuse('');
    this.showJob({what: 'Looking for images', state: 'running', done: 0, total: 0});
    this.poll();
  }

  /** A message that stays while what was there goes on. */
  refuse(text) {
    this.refused = text;
    this.showMessage(text, true);
  }

  /** After a reload: the batch that this browser tab had, if the server still has it. */
  async restore() {
    const id = remembered(REMEMBERED);
    const answer = id && await this.server.look({id, known: 0}).catch(() => null);
    if (!answer || answer.gone || this.id || this.sending) return;
    this.begin({id});
    this.downloaded = answer.download?.serial ?? 0;
  }

  /** Ask how things stand as long as something is going on; one loop for a batch. */
  async poll() {
    const id = this.id;
    if (this.polled === id) return;
    this.polled = id;
    for (;;) {
      const answer = await this.ask('look', {known: this.known});
      if (id !== this.id || !this.root.isConnected) return;
      if (answer && !answer.working) break;
      await new Promise(done => setTimeout(done, answer ? this.pause(answer.job) : RETRY));
    }
    this.polled = '';
  }

  /** ms to wait before the next question: few while much is left to do, and one just when it should be over. */
  pause(job) {
    if (!this.known) return TICK;
    const left = job && job.remaining !== null ? 1000 * job.remaining : SLOW_TICK;
    return Math.min(SLOW_TICK, Math.max(QUICK_TICK, left));
  }

  /** Call the server and show what it says; null if it says nothing, or another batch has begun meanwhile. */
  async ask(name, data) {
    const id = this.id;
    try {
      const answer = await this.server[name]({id, ...data});
      if (id !== this.id) return null;
      this.apply(answer);
      return answer;
    } catch {
      if (id === this.id) this.showMessage(SILENT, true);
      return null;
    }
  }

  /** A message of the server: rows from a place on, and how things stand. */
  apply(value) {
    if (value.thresholds) this.showThresholds(value.thresholds);
    if (value.rows?.length && value.from <= this.known) this.take(value);
    if (value.regions) this.recount(value);
    if (value.marks) this.table.updateRows(this.table.rows().map(({id}) => ({id, mark: value.marks[id] ?? null})));
    if (value.job) this.showJob(value.job);
    const bad = value.message || value.job?.message;
    this.showMessage(bad || this.refused || value.note || '', Boolean(bad || this.refused));
    if (value.download) this.download(value.download);
  }

  clear() {
    Object.assign(this, {known: 0, counted: null, downloaded: 0});
    this.table.setRows([]);
    this.boundary.clear();
    this.pixel.clear();
    this.find('.batch-thresholds').hidden = true;
    this.count();
  }

  take({from, rows, thresholds}) {
    this.known = Math.max(this.known, from + rows.length);
    this.counted ??= thresholds?.pixel ?? null;
    this.boundary.stretch(rows.map(row => row.score));
    this.pixel.stretch(rows.map(row => row.peak));
    this.table.updateRows(rows);
    this.count();
  }

  recount({regions, thresholds}) {
    this.counted = thresholds?.pixel ?? null;
    this.table.updateRows(this.table.rows().slice(0, regions.length).map((row, at) => ({id: row.id, regions: regions[at]})));
  }

  showThresholds(given) {
    this.find('.batch-thresholds').hidden = false;
    this.boundary.prepare({own: given.own, low: given.low, high: given.high, at: given.boundary});
    this.pixel.prepare({own: given.ownPixel, low: 0, high: 2 * given.ownPixel, at: given.pixel});
    this.find('.batch-said').textContent = given.said;
    const asked = this.pixel.value();
    if (given.pixel !== asked && !this.pixel.busy() && this.counted !== null) this.settle();
  }

  showJob(job) {
    const running = job.state === 'running';
    this.root.dataset.state = running ? 'running' : 'ready';
    this.find('.batch-progress').hidden = !running;
    this.find('.batch-cancel').disabled = !running;
    for (const button of this.root.querySelectorAll('[data-export]')) button.disabled = running || !this.known;
    if (!running) { this.showEnd(job); return; }
    const share = job.total ? job.done / job.total : 0;
    const bar = this.find('.batch-bar');
    bar.dataset.known = job.total ? 'yes' : 'no';
    bar.ariaValueNow = String(Math.round(100 * share));
    bar.firstElementChild.style.width = `${100 * share}%`;
    this.find('.batch-pace').textContent = pace(job);
    this.table.setEmpty(this.known ? NO_MATCH : `${job.what}…`);
  }

  showEnd(job) {
    this.table.setEmpty(this.known ? NO_MATCH : job.state === 'failed' ? IDLE : 'Nothing was inspected.');
  }

  showMessage(text, bad) {
    const message = this.find('.batch-message');
    message.textContent = text;
    message.hidden = !text;
    message.dataset.tone = bad ? 'bad' : 'plain';
  }

  /** Save the file the server has made, once. */
  download({serial, path, name}) {
    if (serial <= this.downloaded) return;
    this.downloaded = serial;
    node('a', {href: served(path), download: name}).click();
  }

  async export(button) {
    for (const other of this.root.querySelectorAll('[data-export]')) other.disabled = true;
    const answer = await this.ask('export', {kind: button.dataset.export});
    if (answer && !answer.message) this.poll();
    else this.showJob({state: 'done'});
  }

  margin(row) {
    return row.score === null || this.boundary.value() === null ? null : row.score - this.boundary.value();
  }

  verdict(row) {
    const margin = this.margin(row);
    return margin === null ? 'unreadable' : margin > 0 ? 'anomalous' : 'normal';
  }

  /** A slider under way: counts belong to another threshold, but below it there is certainly no region. */
  regions(count, row) {
    if (count === null || this.counted === this.pixel.value()) return count;
    return row.peak <= this.pixel.value() ? '0' : '…';
  }

  /** A threshold has moved: verdicts and counts follow from what is here. */
  judge() {
    this.find('.batch-reset').disabled = this.boundary.isOwn() && this.pixel.isOwn();
    this.table.refresh();
    this.count();
  }

  /** A slider has come to rest: the server counts regions anew and exports by the new thresholds. */
  settle() {
    this.ask('judge', {boundary: this.boundary.moved(), pixel: this.pixel.moved(), known: this.known});
  }

  count() {
    const counts = {all: 0, anomalous: 0, normal: 0, unreadable: 0};
    for (const row of this.table.rows()) { counts.all++; counts[this.verdict(row)]++; }
    for (const chip of this.root.querySelectorAll('[data-show]')) chip.querySelector('b').textContent = counts[chip.dataset.show].toLocaleString('en');
  }

  choose(show) {
    this.show = show;
    for (const chip of this.root.querySelectorAll('[data-show]')) chip.ariaPressed = String(chip.dataset.show === show);
    this.filter();
  }

  filter() {
    const all = this.show === 'all' && !this.text;
    this.table.setFilter(all ? null : row => (this.show === 'all' || this.verdict(row) === this.show) && row.name.toLowerCase().includes(this.text));
  }

  press(event) {
    const mark = {n: 'normal', a: 'anomalous'}[event.key.toLowerCase()];
    const row = this.table.selected();
    if (!mark || !row || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation(); // the viewer knows the same keys
    const taken = row.mark === mark;
    this.table.updateRows([{id: row.id, mark: taken ? null : mark}]);
    this.ask('mark', {row: row.id, mark: taken ? null : mark});
    if (!taken) this.table.select(this.table.visibleRows().findIndex(one => one.id === row.id) + 1);
  }
}

const RANK = {anomalous: 0, normal: 1, unreadable: 2};
const badge = verdict => ({text: verdict, tone: verdict});
const written = (value, options) => (value === null || value === undefined ? null : number(value, options?.sign ? options : {}));
