// The camera, live: one frame at a time goes to the server, the next only when the answer is there, so no queue can grow.
import {number} from './text.js';
import {createOverlay} from './video_overlay.js';

const SIDE = 512; // longest side of what is sent, in pixels
const QUALITY = 0.85;
const PACE = 12; // answers over which rate and delay are measured
const PAUSE = 1000; // milliseconds before the next try after a mistake

/** `judge({model, image})` -> the server's answer; `look()` -> {layer, opacity}; `model()` -> name; `say(text)` tells what is wrong. */
export class Camera {
  constructor(root, {judge, look, model, say}) {
    Object.assign(this, {root, judge, look, model, say, stream: null, turn: 0, answer: null, times: []});
    this.find = selector => root.querySelector(selector);
    this.view = this.find('.camera-view');
    this.canvas = this.find('.video-canvas');
    this.pen = this.canvas.getContext('2d');
    this.small = document.createElement('canvas');
    this.overlay = createOverlay();
    this.find('.camera-switch').addEventListener('click', () => (this.stream ? this.stop() : this.start()));
    document.addEventListener('visibilitychange', () => document.hidden && this.stop());
  }

  async start() {
    const turn = ++this.turn;
    this.say('');
    if (!navigator.mediaDevices?.getUserMedia) { this.say(trouble({name: 'Insecure'})); return; }
    this.find('.camera-switch').disabled = true;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({video: {width: {ideal: 1280}, height: {ideal: 720}}, audio: false});
      if (turn !== this.turn) { for (const track of stream.getTracks()) track.stop(); return; }
      await this.begin(stream, turn);
    } catch (error) {
      if (turn === this.turn) { this.stop(); this.say(trouble(error)); }
    } finally {
      this.find('.camera-switch').disabled = false;
    }
  }

  async begin(stream, turn) {
    this.stream = stream;
    stream.getVideoTracks()[0].addEventListener('ended', () => { this.stop(); this.say('The camera was disconnected. Plug it in and start it again.'); });
    this.view.srcObject = stream;
    await this.view.play();
    this.root.dataset.state = 'camera';
    this.find('.camera-switch').textContent = 'Stop camera';
    this.loop(turn);
  }

  stop() {
    this.turn++;
    for (const track of this.stream?.getTracks() || []) track.stop();
    Object.assign(this, {stream: null, answer: null, times: []});
    this.view.srcObject = null;
    if (this.root.dataset.state === 'camera') this.root.dataset.state = 'idle';
    this.find('.camera-switch').textContent = 'Start camera';
    this.find('.camera-facts').textContent = '';
    if (this.root.dataset.mode === 'camera') {
      this.find('.video-verdict').hidden = true;
      this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    }
  }

  /** Frame after frame, each the newest there is. */
  async loop(turn) {
    while (turn === this.turn && this.root.isConnected) {
      if (!this.root.getClientRects().length) { await rest(PAUSE / 2); continue; } // another tab of the page is open
      const sent = performance.now();
      const answer = await this.ask();
      if (turn !== this.turn) return;
      if (answer?.error) { this.say(answer.error); await rest(PAUSE); continue; }
      if (!answer) { await rest(50); continue; }
      this.say('');
      this.take(answer, performance.now() - sent);
      await new Promise(requestAnimationFrame);
    }
    if (turn === this.turn) this.stop();
  }

  async ask() {
    const image = this.grab();
    if (!image) return null;
    try {
      return await this.judge({model: this.model(), image});
    } catch {
      return {error: 'The program does not answer. Is it still running?'};
    }
  }

  /** The present picture as a small JPEG; null before the first. */
  grab() {
    const {videoWidth, videoHeight} = this.view;
    if (!videoWidth) return null;
    const scale = Math.min(1, SIDE / Math.max(videoWidth, videoHeight));
    const [width, height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
    if (this.small.width !== width || this.small.height !== height) [this.small.width, this.small.height] = [width, height];
    this.small.getContext('2d').drawImage(this.view, 0, 0, width, height);
    return this.small.toDataURL('image/jpeg', QUALITY);
  }

  take(answer, delay) {
    const levels = Uint8Array.from(atob(answer.map.levels), sign => sign.charCodeAt(0));
    this.answer = {...answer, map: {...answer.map, levels}};
    this.times = [...this.times, {at: performance.now(), delay}].slice(-PACE);
    this.paint();
    this.label();
  }

  /** The marks over the live picture; also when the look changes. */
  paint() {
    if (!this.answer) return;
    const {width, height} = this.small;
    if (this.canvas.width !== width || this.canvas.height !== height) [this.canvas.width, this.canvas.height] = [width, height];
    this.pen.clearRect(0, 0, width, height);
    this.overlay.paint(this.pen, this.answer.map, {...this.look(), threshold: this.answer.pixel});
    this.canvas.dataset.painted = String(Number(this.canvas.dataset.painted) + 1);
  }

  label() {
    const {score, boundary, verdict, regions, ms} = this.answer;
    const badge = this.find('.video-verdict');
    badge.hidden = false;
    badge.dataset.tone = verdict;
    badge.textContent = `${verdict} · score ${number(score)} · boundary ${number(boundary)}`;
    const spans = this.times.length - 1;
    const rate = spans > 0 ? (1000 * spans) / (this.times[spans].at - this.times[0].at) : null;
    const delay = median(this.times.map(time => time.delay));
    const pace = rate === null ? '' : `${rate.toFixed(1)} frames a second · `;
    this.find('.camera-facts').textContent =
      `${pace}marks ${delay.toFixed(0)} ms behind (model ${ms.toFixed(0)} ms) · ${regions} region${regions === 1 ? '' : 's'}`;
  }
}

/** What to tell the person when there is no camera. */
export function trouble({name, message}) {
  return {
    Insecure: 'The browser gives the camera only to pages on this computer (localhost) or over https. Open the page that way.',
    NotAllowedError: 'The browser was not allowed to use the camera. Allow it in the address bar, then start it again.',
    NotFoundError: 'No camera was found. Plug one in and start again.',
    NotReadableError: 'The camera is in use by another program, or the system blocks it. Close the other program and start again.',
  }[name] || `The camera could not be started (${message || name}).`;
}

const rest = milliseconds => new Promise(done => setTimeout(done, milliseconds));
const median = values => [...values].sort((a, b) => a - b)[values.length >> 1];
