// One pane of the stage: the picture on one canvas, what lies over it on another, so that a moving threshold redraws the second only.
import {drawIgnored} from './ignored.js';
import {Overlay} from './overlay.js';
import {node} from './text.js';

const CRISP = 3; // screen pixels a picture pixel from which its square is shown as it is

const JUDGED = ['mask', 'contour', 'heat']; // layers in which a blank place would pass for a finding of "normal"

/** Kinds of panes: which picture lies below and what is painted over it. */
const KINDS = {
  input: {label: 'Input', base: 'input'},
  reconstruction: {label: 'Reconstruction', base: 'reconstruction'},
  residual: {label: 'Residual', top: 'residual'},
  overlay: {label: 'Mask', base: 'input', top: 'mask'},
  contour: {label: 'Contour', base: 'input', top: 'contour'},
  truth: {label: 'True mask', top: 'truth'},
  heatmap: {label: 'Anomaly map', base: 'input', top: 'heat'},
  swipe: {label: 'Compare', base: 'input', top: 'other'},
};

export class Pane {
  kind = null;
  size = {width: 0, height: 0};
  #base = node('canvas', {className: 'base'});
  #top = node('canvas', {className: 'top'});
  #veil = node('canvas', {className: 'veil', hidden: true});
  #caption = node('button', {type: 'button', className: 'caption'});
  #overlay = new Overlay(this.#top);

  /** `onOpen(kind)` when the caption is pressed. */
  constructor(onOpen) {
    this.element = node('figure', {className: 'pane', hidden: true}, this.#base, this.#top, this.#veil, this.#caption);
    this.#caption.addEventListener('click', () => onOpen(this.kind));
  }

  /** Its name for people. */
  static label(kind) {
    return KINDS[kind].label;
  }

  /** The canvases to lay over each other, the lowest first. */
  get layers() {
    return [this.#base, this.#top, this.#veil].filter(canvas => !canvas.hidden);
  }

  /** Show another kind; null hides the pane. */
  setKind(kind) {
    this.kind = kind;
    this.element.hidden = !kind;
    this.element.dataset.name = kind || '';
    if (!kind) return;
    this.#caption.textContent = KINDS[kind].label;
    this.#caption.title = `${KINDS[kind].label}: alone, or all again`;
    this.#top.hidden = !KINDS[kind].top;
    for (const canvas of [this.#top, this.#veil]) canvas.style.clipPath = kind === 'swipe' ? 'inset(0 0 0 var(--divide))' : '';
  }

  /** Read the size anew; only where the layout may have changed, because reading it makes the browser lay out at once. */
  measure() {
    this.size = {width: this.element.clientWidth, height: this.element.clientHeight};
  }

  /** Draw picture and overlay (`whole`) or only what follows the threshold. */
  draw(scene, whole) {
    if (!this.kind || !this.size.width || !this.size.height) return;
    const {base, top} = KINDS[this.kind];
    const at = scene.camera.place(this.size, scene.value);
    if (whole) drawPicture(this.#base, scene.pictures[base], this.size, at, scene.value);
    const layer = top === 'other' ? scene.look.other : top;
    if (whole) this.#cover(at, scene.value, JUDGED.includes(layer) && scene.value.roi?.shapes);
    if (layer === 'reconstruction') { if (whole) drawPicture(this.#top, scene.pictures.reconstruction, this.size, at, scene.value); }
    else if (layer) this.#overlay.draw(layer, this.size, at, scene, whole);
  }

  // What the model did not look at is dark, over the colours of the map, too.
  #cover({left, top, scale}, {width, height}, shapes) {
    this.#veil.hidden = !shapes;
    if (!shapes) return;
    Object.assign(this.#veil, pixelsOf(this.size));
    const ratio = this.#veil.width / this.size.width;
    drawIgnored(this.#veil.getContext('2d'), shapes, {left: left * ratio, top: top * ratio, width: width * scale * ratio, height: height * scale * ratio});
  }
}

function pixelsOf({width, height}) {
  const ratio = window.devicePixelRatio || 1;
  return {width: Math.max(1, Math.round(width * ratio)), height: Math.max(1, Math.round(height * ratio))};
}

function drawPicture(canvas, picture, size, at, {width, height}) {
  const ratio = window.devicePixelRatio || 1;
  Object.assign(canvas, pixelsOf(size));
  if (!picture) return;
  const pen = canvas.getContext('2d');
  pen.imageSmoothingEnabled = at.scale < CRISP;
  pen.imageSmoothingQuality = 'medium';
  pen.drawImage(picture, at.left * ratio, at.top * ratio, width * at.scale * ratio, height * at.scale * ratio);
}
