// The Video tab: choose a source, watch the scores come, look at any frame, move the boundary, take the result away.
import {SILENT, UPLOAD_FAILED} from './calls.js';
import {keepAlive, remember, remembered} from './memory.js';
import {createTable} from './table.js';
import {node, number, percent, served} from './text.js';
import {Camera} from './video_camera.js';
import {createFrames} from './video_frames.js';
import {clock, Player} from './video_player.js';
import {createTimeline} from './video_timeline.js';

const WELCOME = 'Upload a video, or give the path of a video or of a folder with numbered frames. Each frame gets a score.';
const CAMERA = 'Start the camera: its pictures are judged live, and are not kept.';
const STEPS = 500; // of the boundary's slider
const ROOM = 0.02; // of the scores' range beyond either end: at the ends none or all are above
const NUDGE = 0.01; // of its range, for the bracket keys

const REMEMBERED = 'panda-video'; // in the browser tab's memory: the video it has
const TICK = 500; // ms between two questions while a job runs
const RETRY = 2000; // ms after a question that got no answer

/** See component.py. Event: begin {place | files, stride | rate}; all else by calls to the server, {run, …}. */
export function mount({element, props, trigger, watch, upload, server}) {
  const screen = new Screen(element.querySelector('.video'), {props, trigger, upload, server});
  watch('value', () => screen.begun(props.value));
  screen.begun(props.value);
  screen.restore();
}

class Screen {
  constructor(root, parts) {
    Object.assign(this, {root, parts, run: '', own: null, boundary: null, pixel: 1, span: [0, 1], downloaded: 0, video: null, refused: ''});
    this.find = selector => root.querySelector(selector);
    this.frames = createFrames({onLost: pack => this.ask('look', {known: pack})});
    this.timeline = createTimeline(this.find('.video-timeline'), {onSeek: n => this.player.seek(n)});
    this.player = new Player(root, {frames: this.frames, look: () => this.look(), onPlace: n => this.placed(n)});
    this.camera = new Camera(root, {
      judge: data => parts.server.camera(data),
      look: () => this.look(),
      model: () => parts.props.model,
      say: text => this.say(text, true),
    });
    this.table = createTable(this.find('.video-table'), {
      label: 'Frames above the boundary',
      rowHeight: 30,
      empty: 'Frames above the boundary are listed here.',
      columns: [
        {key: 'index', label: 'Frame', kind: 'text', width: 'minmax(64px, 1fr)', format: (index, row) => row.name || String(index)},
        {key: 'seconds', label: 'Time', kind: 'number', width: 76, format: clock},
        {key: 'score', label: 'Score', kind: 'number', width: 74, format: score => number(score)},
        {key: 'regions', label: 'Regions', kind: 'number', width: 76},
      ],
      onOpen: row => this.player.seek(row.id),
    });
    this.find('.video-hint').textContent = WELCOME;
    this.find('.video-path').hidden = root.dataset.local !== 'yes';
    this.find('.video-start').hidden = root.dataset.local !== 'yes';
    this.listen();
    root.dataset.state = 'idle';
  }

  listen() {
    const on = (selector, event, run) => this.find(selector).addEventListener(event, run);
    on('.video-start', 'click', () => this.begin({place: this.find('.video-path').value}));
    on('.video-path', 'keydown', event => event.key === 'Enter' && this.find('.video-start').click());
    on('.video-upload', 'click', () => this.find('.video-files').click());
    on('.video-files', 'change', event => { this.send([...event.target.files]); event.target.value = ''; });
    on('.video-stage', 'dragover', event => event.preventDefault());
    on('.video-stage', 'drop', event => { event.preventDefault(); this.send([...event.dataTransfer.files]); });
    on('.video-cancel', 'click', event => { event.target.disabled = true; this.ask('cancel', {}); });
    on('.boundary-range', 'input', event => this.bound(Number(event.target.value)));
    on('.boundary-number', 'change', event => this.bound(event.target.value === '' ? this.own : Number(event.target.value)));
    on('.boundary-reset', 'click', () => this.bound(this.own));
    for (const selector of ['.video-layer', '.video-opacity']) on(selector, 'input', () => this.repaint());
    for (const button of this.root.querySelectorAll('.video-modes button')) button.addEventListener('click', () => this.choose(button.dataset.mode));
    for (const button of this.root.querySelectorAll('button[data-export]')) button.addEventListener('click', () => this.take(button.dataset.export));
    document.addEventListener('keydown', event => this.press(event));
    keepAlive(() => this.run && !this.polled && this.parts.server.look({run: this.run, known: this.frames.packs()}));
  }

  /** How frames are to be shown. */
  look() {
    return {
      layer: this.find('.video-layer').value,
      opacity: Number(this.find('.video-opacity').value),
      threshold: this.pixel,
      boundary: this.boundary ?? Infinity,
    };
  }

  repaint() {
    if (this.root.dataset.mode === 'camera') this.camera.paint(); else this.player.paint();
  }

  /** Call the server and show what it says; null if it says nothing, or another video has begun meanwhile. */
  async ask(name, data) {
    const run = this.run;
    try {
      const answer = await this.parts.server[name]({run, ...data});
      if (run !== this.run) return null;
      this.apply(answer);
      return answer;
    } catch {
      if (run === this.run) this.say(SILENT, true);
      return null;
    }
  }

  /** Ask how things stand as long as something is going on; one loop for a video. */
  async poll() {
    const run = this.run;
    if (this.polled === run) return;
    this.polled = run;
    for (;;) {
      const answer = await this.ask('look', {known: this.frames.packs()});
      if (run !== this.run || !this.root.isConnected) return;
      if (answer && !answer.working) break;
      await new Promise(done => setTimeout(done, answer ? TICK : RETRY));
    }
    this.polled = '';
  }

  /** The server has begun with a video, or says why it has not. */
  begun(value) {
    if (value?.refused) { this.refused = value.message; this.say(value.message, true); return; }
    if (!value?.run || value.run === this.run) return;
    if (this.run) this.parts.server.cancel({run: this.run}).catch(() => {}); // after a reload the server does not know whose it was
    this.clear(value.run);
    remember(REMEMBERED, value.run);
    this.poll();
  }

  /** After a reload: the video that this browser tab had, if the server still has it. */
  async restore() {
    const run = remembered(REMEMBERED);
    const answer = run && await this.parts.server.look({run, known: 0}).catch(() => null);
    if (!answer || answer.gone || this.run) return;
    this.begun({run});
    if (answer.download) this.downloaded = `${run}/${answer.download.serial}`;
  }

  begin(source) {
    const every = this.find('.video-every').value;
    const frames = every.startsWith('rate:') ? {rate: Number(every.slice(5))} : {stride: Number(every)};
    this.refused = '';
    this.say('');
    this.parts.trigger('begin', {...source, ...frames});
  }

  /** Upload files, then score them. */
  async send(files) {
    if (!files.length || this.root.dataset.mode !== 'file') return;
    this.say(`Uploading ${files.length === 1 ? files[0].name : `${files.length} files`}…`);
    try {
      const stored = [];
      for (const file of files) stored.push((await this.parts.upload(file)).path);
      this.begin({files: stored});
    } catch {
      this.say(UPLOAD_FAILED, true);
    }
  }

  /** A message of the server: packs of frames from a place on, and how things stand. */
  apply(value) {
    if (value.video) { this.video = value.video; this.find('.video-judge').textContent = `${this.video.title}, judged by “${this.video.model}”`; }
    if (value.thresholds) this.prepare(value.thresholds);
    if (value.packs?.length) this.grow(value);
    if ('job' in value) this.progress(value.job);
    if (value.message !== undefined) this.say(value.message || this.refused, Boolean(this.refused || value.refused || value.gone || value.job?.message));
    if (value.download) this.download(value.download);
  }

  clear(run) {
    Object.assign(this, {run: run || '', refused: '', own: null, boundary: null, video: null, ended: false});
    this.frames.clear();
    this.player.clear();
    this.timeline.clear();
    this.table.setRows([]);
    this.count();
    this.find('.video-judge').textContent = '';
    this.exportable(false);
  }

  grow({from, packs}) {
    const before = this.frames.count();
    if (!this.frames.take(from, packs)) return; // the next question asks for what is missing
    this.player.retry();
    if (this.frames.count() === before) return;
    const rows = this.frames.rows();
    this.table.updateRows(rows.slice(before).map(row => ({...row})));
    this.stretch();
    this.timeline.show(rows);
    this.filter();
    if (this.root.dataset.mode === 'file') this.player.grow();
  }

  prepare({own, pixel, low, high}) {
    this.pixel = pixel;
    if (this.own === null) { this.span = [low, high]; this.boundary = own; }
    if (this.own !== own) { if (this.boundary === this.own) this.boundary = own; this.own = own; }
    this.bound(this.boundary);
  }

  /** The slider reaches all scores there are. */
  stretch() {
    let [low, high] = this.span;
    for (const {score} of this.frames.rows()) { low = Math.min(low, score); high = Math.max(high, score); }
    this.span = [low, high];
    this.bound(this.boundary);
  }

  bound(value) {
    if (value === null || !Number.isFinite(value)) return;
    this.boundary = value;
    const room = (this.span[1] - this.span[0]) * ROOM;
    const [low, high] = [Math.min(this.span[0] - room, value), Math.max(this.span[1] + room, value)];
    Object.assign(this.find('.boundary-range'), {min: low, max: high, step: (high - low) / STEPS || 0.001, value});
    this.find('.boundary-range').setAttribute('aria-valuetext', number(value));
    Object.assign(this.find('.boundary-number'), {value: value.toFixed(3), step: 'any'});
    this.find('.boundary-reset').disabled = value === this.own;
    this.timeline.bound(value);
    this.filter();
    this.player.label();
  }

  filter() {
    this.table.setFilter(row => this.boundary !== null && row.score > this.boundary);
    this.count();
  }

  count() {
    const rows = this.frames.rows();
    const above = rows.reduce((sum, row) => sum + (row.score > this.boundary ? 1 : 0), 0);
    this.find('.video-count').textContent = rows.length ? `${above.toLocaleString('en')} of ${rows.length.toLocaleString('en')} frames above (${percent(above / rows.length)})` : '';
    this.root.dataset.above = rows.length ? String(above) : '';
    this.table.setEmpty(rows.length ? 'No frame is above the boundary.' : 'Frames above the boundary are listed here.');
  }

  placed(n) {
    this.timeline.place(this.frames.row(n).seconds);
  }

  progress(job) {
    const running = job?.state === 'running';
    if (this.root.dataset.mode === 'file') this.root.dataset.state = running ? 'running' : this.frames.count() ? 'ready' : 'idle';
    this.find('.video-progress').hidden = !running;
    this.find('.video-cancel').disabled = !running;
    this.exportable(!running && this.frames.count() > 0);
    if (running) this.showPace(job);
    else if (job && !this.ended && this.frames.count()) { this.ended = true; this.player.settle(); }
  }

  exportable(ready) {
    for (const button of this.root.querySelectorAll('button[data-export]')) button.disabled = !ready;
  }

  showPace(job) {
    const bar = this.find('.video-bar');
    const share = job.total ? Math.min(job.done / job.total, 1) : 0;
    bar.dataset.known = job.total ? 'yes' : 'no';
    bar.ariaValueNow = String(Math.round(100 * share));
    bar.firstElementChild.style.width = `${100 * share}%`;
    this.find('.video-pace').textContent = pace(job);
  }

  say(text, bad = false) {
    const message = this.find('.video-message');
    message.textContent = text;
    message.hidden = !text;
    message.dataset.tone = bad ? 'bad' : 'plain';
  }

  choose(mode) {
    if (mode === this.root.dataset.mode) return;
    if (mode === 'camera') this.player.pause(); else this.camera.stop();
    this.root.dataset.mode = mode;
    this.root.dataset.state = mode === 'file' && this.frames.count() ? 'ready' : 'idle';
    for (const button of this.root.querySelectorAll('.video-modes button')) button.ariaPressed = String(button.dataset.mode === mode);
    this.find('.video-form').hidden = mode === 'camera';
    this.find('.video-camera-form').hidden = mode === 'file';
    this.find('.camera-view').hidden = mode === 'file';
    this.find('.video-hint').textContent = mode === 'camera' ? CAMERA : WELCOME;
    this.find('.video-verdict').hidden = true;
    this.say('');
    this.find('.video-canvas').getContext('2d').clearRect(0, 0, this.find('.video-canvas').width, this.find('.video-canvas').height);
    if (mode === 'file' && this.frames.count()) { this.player.sized(); this.player.go(this.player.now); }
  }

  async take(kind) {
    this.exportable(false);
    const answer = await this.ask('export', {kind, boundary: this.boundary});
    if (answer && !answer.message) this.poll();
    else this.progress({state: 'done'});
  }

  /** Save the file the server has made, once. */
  download({serial, path, name}) {
    const key = `${this.run}/${serial}`;
    if (key === this.downloaded) return;
    this.downloaded = key;
    node('a', {href: served(path), download: name}).click();
  }

  press(event) {
    if (this.root.dataset.mode !== 'file' || !this.frames.count() || !this.root.getClientRects().length) return;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.('input, select, textarea, [contenteditable]')) return;
    const nudge = (this.span[1] - this.span[0]) * NUDGE;
    const run = {
      ' ': event.target.closest?.('button, a, summary') ? null : () => this.player.toggle(),
      ArrowLeft: () => this.player.step(-1),
      ArrowRight: () => this.player.step(1),
      '[': () => this.bound(this.boundary - nudge),
      ']': () => this.bound(this.boundary + nudge),
    }[event.key];
    if (!run) return;
    event.preventDefault();
    run();
  }
}

function pace({what, done, total, rate, remaining}) {
  if (!done) return `${what}…`;
  const parts = [total ? `${what}: ${done.toLocaleString('en')} of ${total.toLocaleString('en')}` : `${what}: ${done.toLocaleString('en')}`];
  if (done > 8) parts.push(`${rate < 10 ? rate.toFixed(1) : rate.toFixed(0)} a second`);
  if (remaining !== null && done > 8) parts.push(remaining < 90 ? `${Math.max(1, Math.round(remaining))} s left` : `${Math.round(remaining / 60)} min left`);
  return parts.join(' · ');
}
