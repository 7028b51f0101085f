// The upper canvas of a pane: mask, contour, heat map, residual or true mask. While a threshold moves it paints only where something changes.
import {packed} from './colours.js';
import {paintHeat, paintMask, rectOf, sampleMask, samples, wipe} from './painter.js';

const MASK = [255, 64, 48];
const TRUTH = [64, 214, 255];
const GROUND = [30, 40, 56]; // of the true mask by itself
const MOST_PIXELS = 1_200_000; // painted over one pane; sharper screens are painted a little coarser
const MOST_BOXES = 50;
const NOWHERE = {x0: 0, y0: 0, x1: 0, y1: 0};

export class Overlay {
  #canvas;
  #image = null;
  #pixels = null;
  #seen = null;
  #cells = new Map();
  #painted = NOWHERE;
  #boxed = false;
  #at = null;
  #ratio = 1;

  constructor(canvas) {
    this.#canvas = canvas;
  }

  /** Paint for a pane of `size` with the picture `at` {scale, left, top}; `whole` where more than the threshold has changed. */
  draw(layer, size, at, scene, whole) {
    if (whole) this.#place(size, at);
    if (layer === 'residual') return whole && this.#heat(scene.grids.residual, scene, scene.colours('residual'));
    if (layer === 'heat') return this.#map(scene, whole);
    if (layer === 'truth') return whole && this.#truth(scene);
    return this.#mask(layer, scene);
  }

  // Buffers are kept for as long as the pane has its size: sixty new ones a second would cost more than the painting.
  #place(size, at) {
    this.#at = at;
    this.#ratio = Math.min(window.devicePixelRatio || 1, Math.sqrt(MOST_PIXELS / (size.width * size.height)));
    const width = Math.max(1, Math.round(size.width * this.#ratio));
    const height = Math.max(1, Math.round(size.height * this.#ratio));
    this.#cells.clear();
    this.#boxed = true;
    if (this.#image?.width === width && this.#image.height === height && this.#canvas.width === width && this.#canvas.height === height) {
      this.#pixels.fill(0);
      this.#seen.fill(0);
      return;
    }
    Object.assign(this.#canvas, {width, height});
    this.#image = new ImageData(width, height);
    this.#pixels = new Uint32Array(this.#image.data.buffer);
    this.#seen = new Uint8Array(width * height);
  }

  #cellsOf(grid, value) {
    const key = `${grid.width} ${grid.height}`;
    if (!this.#cells.has(key)) {
      const [{left, top, scale}, ratio] = [this.#at, this.#ratio];
      this.#cells.set(key, [
        samples(this.#canvas.width, {offset: left * ratio, length: value.width * scale * ratio, cells: grid.width}),
        samples(this.#canvas.height, {offset: top * ratio, length: value.height * scale * ratio, cells: grid.height}),
      ]);
    }
    return this.#cells.get(key);
  }

  #heat(grid, {value}, colours) {
    paintHeat(this.#pixels, grid, ...this.#cellsOf(grid, value), colours);
    this.#put(this.#everything());
  }

  #map(scene, whole) {
    if (whole) paintHeat(this.#pixels, scene.grids.map, ...this.#cellsOf(scene.grids.map, scene.value), scene.colours('map'));
    this.#put(this.#everything());
    scene.found.regions.slice(0, MOST_BOXES).forEach((region, index) => this.#box(scene, region, index));
  }

  #truth(scene) {
    if (scene.grids.truth) this.#heat(scene.grids.truth, scene, [packed(GROUND, 1), packed(TRUTH, 1)]);
    else this.#put(this.#everything());
  }

  #mask(layer, scene) {
    const {found, grids, value, look, highlight} = scene;
    const before = this.#painted;
    wipe(this.#pixels, this.#canvas.width, before);
    this.#painted = NOWHERE;
    const {truth} = grids;
    if (layer === 'contour' && truth) this.#outline(truth, truth.data, [0, 0, truth.width, truth.height], value, TRUTH, 0);
    this.#outline(found.grid, found.mask, boundsOf(found.regions), value, MASK, layer === 'contour' ? 0 : look.opacity.overlay);
    this.#put(this.#boxed ? this.#everything() : union(before, this.#painted));
    this.#boxed = highlight >= 0 && highlight < found.regions.length;
    if (this.#boxed) this.#box(scene, found.regions[highlight], highlight);
  }

  #outline(grid, mask, bounds, value, colour, opacity) {
    const {width} = this.#canvas;
    const [columns, rows] = this.#cellsOf(grid, value);
    const rect = rectOf(bounds, columns, rows);
    wipe(this.#seen, width, this.#painted);
    sampleMask(this.#seen, mask, grid.width, columns, rows, rect);
    const thick = Math.max(1, Math.round(1.5 * this.#ratio));
    paintMask(this.#pixels, this.#seen, width, rect, {fill: opacity ? packed(colour, opacity) : 0, edge: packed(colour, 1), thick});
    wipe(this.#seen, width, rect);
    this.#painted = union(this.#painted, rect);
  }

  #everything() {
    return {x0: 0, y0: 0, x1: this.#canvas.width, y1: this.#canvas.height};
  }

  #put({x0, y0, x1, y1}) {
    if (x1 > x0 && y1 > y0) this.#canvas.getContext('2d').putImageData(this.#image, 0, 0, x0, y0, x1 - x0, y1 - y0);
  }

  // A numbered frame around a region, white on dark so that it stands out from any colour map.
  #box({found, value}, {box: [x0, y0, x1, y1]}, index) {
    const [{left, top, scale}, ratio] = [this.#at, this.#ratio];
    const pen = this.#canvas.getContext('2d');
    const [x, y] = [(value.width / found.grid.width) * scale * ratio, (value.height / found.grid.height) * scale * ratio];
    const frame = [left * ratio + x0 * x, top * ratio + y0 * y, (x1 - x0) * x, (y1 - y0) * y];
    const label = [String(index + 1), frame[0] + 2 * ratio, Math.max(12 * ratio, frame[1] - 4 * ratio)];
    pen.font = `600 ${12 * ratio}px system-ui, sans-serif`;
    pen.lineJoin = 'round';
    for (const [colour, thick] of [['rgb(0 0 0 / 70%)', 3.5], ['#fff', 1.5]]) {
      Object.assign(pen, {strokeStyle: colour, lineWidth: thick * ratio});
      pen.strokeRect(...frame);
    }
    Object.assign(pen, {strokeStyle: 'rgb(0 0 0 / 85%)', lineWidth: 3 * ratio, fillStyle: '#fff'});
    pen.strokeText(...label);
    pen.fillText(...label);
  }
}

// The smallest box around all regions, in cells of their grid.
function boundsOf(regions) {
  if (!regions.length) return [0, 0, 0, 0];
  const side = (at, pick) => regions.reduce((most, {box}) => pick(most, box[at]), regions[0].box[at]);
  return [side(0, Math.min), side(1, Math.min), side(2, Math.max), side(3, Math.max)];
}

function union(a, b) {
  if (a.x1 <= a.x0 || a.y1 <= a.y0) return b;
  if (b.x1 <= b.x0 || b.y1 <= b.y0) return a;
  return {x0: Math.min(a.x0, b.x0), y0: Math.min(a.y0, b.y0), x1: Math.max(a.x1, b.x1), y1: Math.max(a.y1, b.y1)};
}
