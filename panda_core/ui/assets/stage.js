// The stage: panes of one image behind one camera, with the bars around them. It asks for paints and never paints unasked.
import {createCamera} from './camera.js';
import {levelColours} from './colours.js';
import {createFoot, createToolbar, VIEWS} from './controls.js';
import {createDivider} from './divider.js';
import {addGestures} from './gestures.js';
import {createNotice, createWord} from './notice.js';
import {Pane} from './pane.js';
import {valueAt} from './payload.js';
import {drawSheet} from './picture.js';
import {regionAt} from './regions.js';
import {node, number} from './text.js';
import {createTruth} from './truth.js';

const SEVERAL = {all: ['input', 'reconstruction', 'residual', 'overlay'], truth: ['input', 'contour', 'truth']}; // panes of a view; else one
const RESIDUAL_FULL = 0.5; // brightest colour; fixed, so that two images can be compared by eye
const MAP_FULL = 2; // brightest colour, in the model's own pixel thresholds
const ENLARGED = 4; // what Z does to a picture that is smaller than its pane

export class Stage {
  #ask;
  #view = 'all';
  #camera = createCamera();
  #scene = {
    camera: this.#camera, value: null, found: null, highlight: -1,
    look: {colours: 'viridis', other: 'reconstruction', opacity: {overlay: 0.45, heatmap: 0.8}},
  };
  #panes = SEVERAL.all.map(() => new Pane(kind => this.choose(this.#view in SEVERAL && kind !== this.#view ? kind : 'all')));
  #divider = createDivider();
  #notice = createNotice();
  #word = createWord();
  #truth;
  #toolbar;
  #foot;

  /** `ask(whole)` wants a paint, of the pictures too if `whole`; onStep(by), onRegion(), onHelp(), onTruth(file or null) as the buttons. */
  constructor({ask, onStep, onRegion, onHelp, onTruth}) {
    this.#ask = ask;
    this.#truth = createTruth({onChoose: onTruth, onRemove: () => onTruth(null)});
    this.#toolbar = createToolbar({onView: name => this.choose(name), onStep, onRegion, onHelp});
    this.#foot = createFoot({
      onColours: name => { this.#scene.look.colours = name; this.#renew(); },
      onOpacity: share => { this.#scene.look.opacity[this.#view === 'heatmap' ? 'heatmap' : 'overlay'] = share; this.#renew(); },
      onOther: name => { this.#scene.look.other = name; this.#renew(); },
      onZoom: () => this.toggleZoom(),
      truth: this.#truth.element,
    });
    this.frame = node('div', {className: 'frame'}, ...this.#panes.map(({element}) => element), this.#divider, this.#notice.element, this.#word.element);
    this.#panes[SEVERAL.truth.indexOf('truth')].element.append(this.#missing());
    this.element = node('div', {className: 'stage'}, this.#toolbar.element, this.frame, this.#foot.element);
    this.#listen();
    this.choose('all');
  }

  // In the pane that has nothing to show: what would be shown there, and how.
  #missing() {
    const choose = node('button', {type: 'button', textContent: 'Choose a true mask…', onclick: () => this.#truth.choose()});
    return node('div', {className: 'truth-missing'}, choose,
      node('p', {textContent: 'A picture that is bright where this image is truly anomalous. The overlap then follows the pixel threshold.'}));
  }

  #listen() {
    addGestures(this.frame, {
      zoom: (factor, at) => this.#onPane(at, (size, x, y) => this.#camera.zoomAt(factor, x, y, size, this.#scene.value)),
      pan: (dx, dy, at) => this.#onPane(at, size => this.#camera.pan(dx, dy, size, this.#scene.value)),
      toggle: at => this.toggleZoom(at),
      pick: at => this.zoomTo(this.#regionUnder(at)),
      hover: at => this.#foot.read(this.#describe(at)),
      leave: () => this.#foot.read(''),
    });
    new ResizeObserver(() => this.#ask(true)).observe(this.frame);
  }

  /** Show what payload.js has loaded of a payload; the part in view stays if the image has the size of the one before. */
  show(loaded, value) {
    const {width, height} = this.#scene.value || {};
    if (width !== value.width || height !== value.height) this.#camera.reset();
    Object.assign(this.#scene, loaded, {value, found: null, highlight: -1});
    const shape = value.width / value.height;
    this.#toolbar.bound(value.roi?.ignored || 0);
    this.element.dataset.shape = shape > 2 ? 'wide' : shape < 0.5 ? 'tall' : 'square';
    this.say('');
    this.#renew();
  }

  /** The same image with another true mask, or with none. */
  compare(value) {
    this.#scene.value = value;
    this.#renew();
  }

  /** A word over the pictures. */
  say(text) {
    this.#word.say(text);
  }

  /** Show a message instead. */
  notice(notice) {
    Object.assign(this.#scene, {value: null, found: null});
    this.#foot.read('');
    this.#notice.show(notice);
  }

  /** Where the image stands in its list: {index, count}, or nothing. */
  place(position) {
    this.#toolbar.place(position);
  }

  /** Another view, by name. */
  choose(name) {
    this.#view = name;
    this.element.dataset.view = name;
    this.#toolbar.choose(name);
    const kinds = SEVERAL[name] || [name];
    this.#panes.forEach((pane, i) => pane.setKind(kinds[i] || null));
    this.#divider.hidden = name !== 'swipe';
    this.#renew();
  }

  /** Another view, by its key; whether there is one. */
  chooseByKey(key) {
    const found = VIEWS.find(entry => entry.key === key);
    if (found) this.choose(found.name);
    return Boolean(found);
  }

  /** Paint; `found` is what regions.js found at the threshold, `overlap` with the true mask or null. `whole`: more than the threshold has changed. */
  paint(found, overlap, whole) {
    this.#scene.found = found;
    this.#truth.agree(overlap);
    if (whole) for (const pane of this.#panes) pane.measure();
    for (const pane of this.#panes) pane.draw(this.#scene, whole);
    if (!whole) return;
    this.element.toggleAttribute('data-zoomed', this.#camera.zoom > 1);
    this.#tell();
  }

  /** What is shown as one canvas, the whole image whatever the zoom, over `lines` of text. */
  sheet(lines) {
    return drawSheet(this.#panes.map(({kind}) => kind).filter(Boolean), this.#scene, lines);
  }

  /** Frame the region at this place of the list while the person points at it; -1 none. */
  point(index) {
    this.#scene.highlight = index;
    this.#ask(false);
  }

  /** Bring the region at this place of the list to the middle. */
  zoomTo(index) {
    const {found, value} = this.#scene;
    const region = found?.regions[index];
    if (!region) return;
    const [x, y] = [value.width / found.grid.width, value.height / found.grid.height];
    const [x0, y0, x1, y1] = region.box;
    this.#camera.frame([x0 * x, y0 * y, x1 * x, y1 * y], this.#panes[0].size, value);
    this.#ask(true);
  }

  /** Fit the picture, or show it at 100 % around a place in client coordinates (the middle without one). */
  toggleZoom(at) {
    const {value} = this.#scene;
    if (!value) return;
    const {pane, x, y} = (at && this.#paneUnder(at)) || this.#middle();
    const fit = this.#camera.fit(pane.size, value);
    if (this.#camera.zoom > 1) this.#camera.reset();
    else this.#camera.zoomAt(fit < 1 ? 1 / fit : ENLARGED, x, y, pane.size, value);
    this.#ask(true);
  }

  /** Zoom by a factor around the middle. */
  zoomBy(factor) {
    if (!this.#scene.value) return;
    const {pane, x, y} = this.#middle();
    this.#camera.zoomAt(factor, x, y, pane.size, this.#scene.value);
    this.#ask(true);
  }

  // Colour tables hold 65,536 entries: made when the look changes, not at each paint.
  #renew() {
    const tables = {};
    this.#scene.colours = name => tables[name] ??= levelColours(this.#scene.look.colours, this.#scene.grids[name], this.#scaleOf(name));
    this.#tell();
    this.#ask(true);
  }

  #scaleOf(name) {
    if (name === 'residual') return {low: 0, high: RESIDUAL_FULL, alpha: 1, unit: ''};
    const {value, look} = this.#scene;
    return {low: 0, high: MAP_FULL * value.own.pixel_threshold, alpha: this.#view === 'swipe' ? 1 : look.opacity.heatmap, unit: ' SD'};
  }

  // What the bar below has to say depends on what the view shows.
  #tell() {
    const {value, look} = this.#scene;
    const other = {heat: 'map', residual: 'residual'}[look.other];
    const layer = {residual: 'residual', all: 'residual', heatmap: 'map', swipe: other}[this.#view];
    const opacity = {overlay: 'overlay', all: 'overlay', heatmap: 'heatmap'}[this.#view];
    const {size} = this.#panes[0];
    const there = Boolean(value && this.#scene.grids.truth);
    this.element.toggleAttribute('data-truth', there);
    this.#truth.show({visible: Boolean(value) && (this.#view === 'contour' || (this.#view === 'truth' && there)), there, chosen: Boolean(value?.truth_chosen)});
    this.#foot.show({
      view: this.#view,
      colours: look.colours,
      other: look.other,
      scale: layer && value ? this.#scaleOf(layer) : null,
      opacity: opacity ? look.opacity[opacity] : null,
      percent: value && size.width ? `${Math.round(100 * this.#camera.place(size, value).scale)} %` : '',
    });
  }

  #middle() {
    const [pane] = this.#panes;
    return {pane, x: pane.size.width / 2, y: pane.size.height / 2};
  }

  /** Call `act(size, x, y)` with the pane under client coordinates and the place in it, then ask for a paint. */
  #onPane(at, act) {
    const found = this.#scene.value && this.#paneUnder(at);
    if (!found) return;
    act(found.pane.size, found.x, found.y);
    this.#ask(true);
  }

  #paneUnder({x, y}) {
    for (const pane of this.#panes) {
      const box = pane.element.getBoundingClientRect();
      if (pane.kind && x >= box.left && x < box.right && y >= box.top && y < box.bottom) return {pane, x: x - box.left, y: y - box.top};
    }
    return null;
  }

  /** Place in the picture under client coordinates, in shares of it; null outside. */
  #pictureAt(at) {
    const {value} = this.#scene;
    const found = value && this.#paneUnder(at);
    if (!found) return null;
    const {scale, left, top} = this.#camera.place(found.pane.size, value);
    const [x, y] = [(found.x - left) / (scale * value.width), (found.y - top) / (scale * value.height)];
    return x >= 0 && x < 1 && y >= 0 && y < 1 ? {x, y} : null;
  }

  #describe(at) {
    const place = this.#pictureAt(at);
    if (!place) return '';
    const {value, grids} = this.#scene;
    const [x, y] = [Math.floor(place.x * value.width), Math.floor(place.y * value.height)];
    const [map, residual] = [grids.map, grids.residual].map(grid => number(valueAt(grid, place.x, place.y)));
    return `x ${x}, y ${y} · map ${map} SD · residual ${residual}`;
  }

  #regionUnder(at) {
    const place = this.#scene.found && this.#pictureAt(at);
    if (!place) return -1;
    const {grid} = this.#scene.found;
    return regionAt(this.#scene.found, Math.floor(place.y * grid.height) * grid.width + Math.floor(place.x * grid.width));
  }
}
