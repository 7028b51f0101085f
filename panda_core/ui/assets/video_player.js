// The player: a canvas that shows scored frames with their marks, frame by frame or in time.
import {number} from './text.js';
import {createOverlay} from './video_overlay.js';

const END_SLACK = 0.04; // seconds that the last frame stays
const LEAST_SIDE = 640; // smaller frames are drawn larger, or the edges of the marks would be steps

/** `frames`: see video_frames.js; `look()` -> {layer, threshold, opacity, boundary}; `onPlace(n)`: another frame is shown. */
export class Player {
  constructor(root, {frames, look, onPlace}) {
    Object.assign(this, {root, frames, look, onPlace, now: -1, shown: null, playing: false, follows: true, turn: 0});
    this.find = selector => root.querySelector(selector);
    this.canvas = this.find('.video-canvas');
    this.pen = this.canvas.getContext('2d');
    this.overlay = createOverlay();
    this.find('.video-play').addEventListener('click', () => this.toggle());
    this.find('.video-back').addEventListener('click', () => this.step(-1));
    this.find('.video-next').addEventListener('click', () => this.step(1));
    this.find('.video-seek').addEventListener('input', event => this.seek(Number(event.target.value)));
    this.find('.video-speed').addEventListener('change', () => this.restart());
  }

  /** More frames have come: until somebody takes the player in hand it shows the newest. */
  grow() {
    this.sized();
    const last = this.frames.count() - 1;
    if (this.follows && last >= 0) this.go(last); else this.label();
  }

  /** The slider reaches all frames there are. */
  sized() {
    this.find('.video-seek').max = String(Math.max(this.frames.count() - 1, 0));
  }

  /** Whether the stage is the player's: the camera draws on it, too, and frames may come when the person has gone over to that. */
  onStage() {
    return this.root.dataset.mode === 'file';
  }

  clear() {
    this.pause();
    Object.assign(this, {now: -1, follows: true});
    this.turn++;
    this.shown?.picture.close();
    this.shown = null;
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.sized();
    this.label();
  }

  /** Scoring is over; if nobody has moved the player, the first frame comes up. */
  settle() {
    if (this.follows && this.frames.count()) this.go(0);
    this.follows = false;
  }

  seek(n) {
    this.follows = false;
    this.go(n);
    this.restart();
  }

  step(by) {
    if (!this.frames.count()) return;
    this.pause();
    this.seek(this.now + by);
  }

  toggle() {
    if (this.playing) this.pause(); else this.play();
  }

  play() {
    if (!this.frames.count()) return;
    this.follows = false;
    if (this.now >= this.frames.count() - 1) this.go(0);
    this.playing = true;
    this.restart();
    this.button();
    requestAnimationFrame(() => this.tick());
  }

  pause() {
    this.playing = false;
    this.button();
  }

  button() {
    const button = this.find('.video-play');
    button.textContent = this.playing ? '❚❚' : '▶';
    button.ariaLabel = this.playing ? 'Pause' : 'Play';
  }

  /** Time runs from the present frame on. */
  restart() {
    this.clock = {at: performance.now(), seconds: this.frames.row(this.now)?.seconds ?? 0};
  }

  tick() {
    if (!this.playing || !this.root.isConnected) return;
    const speed = Number(this.find('.video-speed').value);
    const seconds = this.clock.seconds + ((performance.now() - this.clock.at) / 1000) * speed;
    const n = this.frames.at(seconds);
    if (n !== this.now) this.go(n);
    const last = this.frames.count() - 1;
    if (n >= last && seconds > this.frames.row(last).seconds + END_SLACK) this.pause();
    else requestAnimationFrame(() => this.tick());
  }

  /** Show frame n; of several that are asked for meanwhile only the last is drawn. */
  async go(n) {
    const at = Math.min(Math.max(n, 0), this.frames.count() - 1);
    if (at < 0) return;
    this.now = at;
    this.label();
    this.onPlace(at);
    if (this.loading) return;
    this.loading = true;
    const turn = this.turn;
    try {
      const found = await this.frames.load(at);
      if (turn !== this.turn) found.picture.close(); else this.show(found);
    } catch {
      this.canvas.dataset.lost = String(at); // asked for again; `retry` comes with the answer
    }
    this.loading = false;
    if (this.now !== at && this.now >= 0) this.go(this.now);
  }

  /** Packs have come again: what could not be shown is tried once more. */
  retry() {
    if (this.canvas.dataset.lost === undefined) return;
    delete this.canvas.dataset.lost;
    if (this.now >= 0) this.go(this.now);
  }

  show(found) {
    this.shown?.picture.close();
    this.shown = found;
    const scale = Math.max(1, LEAST_SIDE / Math.max(found.picture.width, found.picture.height));
    const [width, height] = [Math.round(found.picture.width * scale), Math.round(found.picture.height * scale)];
    if (this.canvas.width !== width || this.canvas.height !== height) [this.canvas.width, this.canvas.height] = [width, height];
    this.paint();
  }

  /** The frame again, because the look has changed. */
  paint() {
    if (!this.shown || !this.onStage()) return;
    this.pen.drawImage(this.shown.picture, 0, 0, this.canvas.width, this.canvas.height);
    this.overlay.paint(this.pen, this.shown.map, this.look());
    this.canvas.dataset.frame = String(this.shown.row.id);
    this.canvas.dataset.painted = String(Number(this.canvas.dataset.painted) + 1);
    this.label();
  }

  /** Words and numbers of the present frame. */
  label() {
    const row = this.frames.row(this.now);
    const place = this.find('.video-place');
    const badge = this.find('.video-verdict');
    if (this.onStage()) badge.hidden = !row;
    place.textContent = row ? `${clock(row.seconds)} · frame ${row.index}` : '';
    if (!row) return;
    const verdict = row.score > this.look().boundary ? 'anomalous' : 'normal';
    if (this.onStage()) Object.assign(badge, {textContent: `${verdict} · score ${number(row.score)}`}).dataset.tone = verdict;
    place.title = row.name || '';
    const seek = this.find('.video-seek');
    seek.value = String(this.now);
    seek.setAttribute('aria-valuetext', `${clock(row.seconds)}, score ${number(row.score)}, ${verdict}`);
  }
}

/** Seconds as 1:02.34. */
export function clock(seconds) {
  const hundredths = Math.round(seconds * 100);
  const minutes = Math.floor(hundredths / 6000);
  return `${minutes}:${((hundredths % 6000) / 100).toFixed(2).padStart(5, '0')}`;
}
