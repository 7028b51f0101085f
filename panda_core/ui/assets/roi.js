// Draw where a model looks: rectangles and freehand shapes to include or to ignore, on top of any picture.
import {corners, moved, polygon, rectangle, stretched} from './roi_shapes.js';
import {node} from './text.js';

const SPACE = 'http://www.w3.org/2000/svg';
const TOOLS = {select: 'Select', rectangle: 'Rectangle', freehand: 'Freehand'};
const MODES = {exclude: 'Ignore', include: 'Look here'};
const MOST_SHAPES = 64;
const MOST_UNDO = 50;
const NUDGE = 0.01; // share of the picture that an arrow key moves a shape by
const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
let layers = 0;

/**
 * A drawing layer over a picture in `container` (which needs a position). `width`, `height`: of the picture, in its own pixels.
 * `shapes`: see roi_shapes.js. `onChange(shapes)` after each change by the person.
 *
 * The picture is taken to lie in the middle of the container, as large as fits; `place({left, top, scale})` says otherwise.
 * Returns {toolbar, layer, shapes(), setShapes(shapes), setTool(name), setMode(mode), place(at), undo(), remove(), detach()}.
 * The toolbar is an element of its own: put it where it suits.
 */
export function attachRoi(container, options) {
  const roi = new Roi(container, options);
  return {
    toolbar: roi.toolbar,
    layer: roi.layer,
    shapes: () => roi.shapes.map(copied),
    setShapes: shapes => roi.reset(shapes),
    setTool: name => roi.setTool(name),
    setMode: mode => roi.setMode(mode),
    place: at => roi.place(at),
    undo: () => roi.undo(),
    remove: () => roi.remove(),
    detach: () => roi.detach(),
  };
}

class Roi {
  constructor(container, {width, height, shapes = [], onChange = () => {}}) {
    Object.assign(this, {width, height, onChange, tool: 'rectangle', mode: 'exclude', chosen: -1, history: [], drag: null, name: `roi-${layers++}`});
    this.shapes = shapes.map(copied);
    this.layer = part('svg', {class: 'roi-layer', viewBox: `0 0 ${width} ${height}`, role: 'group', 'aria-label': 'Region of interest'});
    this.drawn = part('g');
    this.layer.append(this.pattern(), this.drawn);
    this.toolbar = this.buildToolbar();
    container.append(this.layer);
    this.listen();
    this.paint();
  }

  /** Hatching of what is ignored. */
  pattern() {
    const hatch = part('pattern', {id: this.name, width: 8, height: 8, patternUnits: 'userSpaceOnUse', patternTransform: `scale(${Math.max(this.width, this.height) / 700}) rotate(45)`});
    hatch.append(part('rect', {width: 8, height: 8, class: 'roi-ground'}), part('rect', {width: 2.5, height: 8, class: 'roi-hatch'}));
    const made = part('defs');
    made.append(hatch);
    return made;
  }

  buildToolbar() {
    const group = (names, label, pressed, run) => {
      const made = node('span', {className: 'roi-group', ariaLabel: label});
      made.setAttribute('role', 'group');
      for (const [name, text] of Object.entries(names)) {
        const button = node('button', {type: 'button', textContent: text, ariaPressed: String(name === pressed)});
        button.dataset.name = name;
        button.addEventListener('click', event => run(name, event));
        made.append(button);
      }
      return made;
    };
    const action = (name, text, title, run) => {
      const button = node('button', {type: 'button', textContent: text, title, disabled: true});
      button.dataset.name = name;
      button.addEventListener('click', run);
      return button;
    };
    this.tools = group(TOOLS, 'Tool', this.tool, (name, event) => this.pick(name, event));
    this.modes = group(MODES, 'What the shape says', this.mode, name => this.setMode(name));
    this.undoButton = action('undo', 'Undo', 'Take the last change back (Ctrl+Z)', () => this.undo());
    this.removeButton = action('remove', 'Delete', 'Delete the selected shape (Delete)', () => this.remove());
    this.note = node('span', {className: 'roi-note'});
    this.note.setAttribute('role', 'status');
    const bar = node('div', {className: 'roi-toolbar', ariaLabel: 'Region of interest'}, this.tools, this.modes, this.undoButton, this.removeButton, this.note);
    bar.setAttribute('role', 'toolbar');
    bar.addEventListener('keydown', event => this.press(event));
    return bar;
  }

  listen() {
    const on = (name, run) => this.layer.addEventListener(name, run);
    on('pointerdown', event => this.down(event));
    on('pointermove', event => this.move(event));
    on('pointerup', event => this.up(event));
    on('pointercancel', () => this.cancel());
    on('keydown', event => this.press(event));
    on('focusin', event => { if (event.target.dataset.index) this.choose(Number(event.target.dataset.index)); });
  }

  detach() {
    this.layer.remove();
    this.toolbar.remove();
  }

  /** Where the picture lies in the container, in its pixels. */
  place({left, top, scale}) {
    Object.assign(this.layer.style, {inset: 'auto', left: `${left}px`, top: `${top}px`, width: `${this.width * scale}px`, height: `${this.height * scale}px`});
  }

  reset(shapes) {
    this.shapes = shapes.map(copied);
    Object.assign(this, {history: [], chosen: -1, drag: null});
    this.paint();
  }

  /** A tool by the pointer waits for a drawing; by the keyboard the rectangle is there at once, to be moved with the arrow keys. */
  pick(name, event) {
    this.setTool(name);
    if (name !== 'rectangle' || event.detail !== 0) return;
    if (this.change([...this.shapes, rectangle(this.mode, [0.35, 0.35], [0.65, 0.65])])) this.focus(this.shapes.length - 1);
  }

  setTool(name) {
    this.tool = name;
    this.layer.dataset.tool = name;
    pressed(this.tools, name);
  }

  /** For the next shape; with the tool "Select" also for the selected one. */
  setMode(mode) {
    this.mode = mode;
    pressed(this.modes, mode);
    const shape = this.tool === 'select' && this.shapes[this.chosen];
    if (shape && shape.mode !== mode) this.change(this.replaced({...shape, mode}));
  }

  undo() {
    if (!this.history.length) return;
    this.shapes = this.history.pop();
    this.chosen = Math.min(this.chosen, this.shapes.length - 1);
    this.paint();
    this.onChange(this.shapes.map(copied));
  }

  remove() {
    if (this.chosen < 0) return;
    const at = this.chosen;
    this.chosen = -1;
    this.change(this.shapes.filter((_, i) => i !== at));
    if (this.shapes.length) this.focus(Math.min(at, this.shapes.length - 1)); else this.tools.firstElementChild.focus();
  }

  replaced(shape) {
    return this.shapes.map((one, i) => (i === this.chosen ? shape : one));
  }

  /** Other shapes, remembered for undo; false where they are too many. */
  change(shapes) {
    if (shapes.length > MOST_SHAPES) { this.say(`At most ${MOST_SHAPES} shapes. Delete one first.`); return false; }
    this.history = [...this.history, this.shapes].slice(-MOST_UNDO);
    this.shapes = shapes;
    this.paint();
    this.onChange(shapes.map(copied));
    return true;
  }

  choose(index) {
    if (this.chosen === index) return;
    this.chosen = index;
    const shape = this.shapes[index];
    if (shape && this.tool === 'select') { this.mode = shape.mode; pressed(this.modes, shape.mode); }
    this.paint();
  }

  focus(index) {
    this.choose(index);
    this.drawn.querySelector(`[data-index="${index}"]`)?.focus({preventScroll: true});
  }

  /** Share of the picture under the pointer. */
  spot(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.layer.getScreenCTM().inverse());
    return [at.x / this.width, at.y / this.height].map(value => Math.min(Math.max(value, 0), 1));
  }

  down(event) {
    if (event.button !== 0 || this.drag) return;
    event.preventDefault();
    event.stopPropagation(); // the picture below may pan
    this.layer.setPointerCapture(event.pointerId);
    const index = event.target.dataset?.index;
    const from = this.spot(event);
    if (this.tool === 'select') {
      if (index === undefined) { this.choose(-1); return; }
      this.focus(Number(index));
      this.drag = {pointer: event.pointerId, from, before: this.shapes[this.chosen], to: from};
    } else {
      this.choose(-1);
      this.drag = {pointer: event.pointerId, from, line: [from], to: from};
    }
  }

  move(event) {
    if (event.pointerId !== this.drag?.pointer) return;
    const spots = (event.getCoalescedEvents?.() || []).map(one => this.spot(one));
    this.drag.to = this.spot(event);
    if (this.drag.line) this.drag.line.push(...(spots.length ? spots : [this.drag.to]));
    this.paint();
  }

  up(event) {
    if (event.pointerId !== this.drag?.pointer) return;
    const shape = this.pending();
    const {before} = this.drag;
    this.drag = null;
    if (before) {
      if (shape && String(shape.points) !== String(before.points)) this.change(this.replaced(shape)); else this.paint();
    } else if (!shape) this.paint();
    else if (this.change([...this.shapes, shape])) this.focus(this.shapes.length - 1);
  }

  cancel() {
    this.drag = null;
    this.paint();
  }

  /** What the movement under way would leave. */
  pending() {
    const {from, to, line, before} = this.drag;
    if (before) return moved(before, to[0] - from[0], to[1] - from[1]);
    return this.tool === 'rectangle' ? rectangle(this.mode, from, to) : polygon(this.mode, line);
  }

  press(event) {
    const way = ARROWS[event.key];
    const shape = event.target.dataset?.index === undefined ? null : this.shapes[this.chosen];
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'z') this.undo();
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key === 'Delete' || event.key === 'Backspace') this.remove();
    else if (event.key === 'Escape') { this.cancel(); this.choose(-1); }
    else if (way && shape) this.nudge(shape, way, event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation(); // the page knows these keys, too
  }

  nudge(shape, [x, y], stretch) {
    const after = (stretch ? stretched : moved)(shape, x * NUDGE, y * NUDGE);
    if (String(after.points) !== String(shape.points) && this.change(this.replaced(after))) this.focus(this.chosen);
  }

  paint() {
    const active = document.activeElement?.parentNode === this.drawn ? this.chosen : -1;
    const shown = this.drag?.before ? this.replaced(this.pending()) : this.shapes;
    const parts = shown.map((shape, i) => this.outline(shape, i));
    const fresh = this.drag?.line && this.pending();
    this.drawn.replaceChildren(...parts, ...(fresh ? [this.outline(fresh, null)] : []));
    if (active >= 0) this.drawn.children[active]?.focus({preventScroll: true});
    this.undoButton.disabled = !this.history.length;
    this.removeButton.disabled = this.chosen < 0;
    this.say(this.summary());
  }

  outline(shape, index) {
    const made = part('polygon', {
      points: corners(shape).map(([x, y]) => `${(x * this.width).toFixed(2)},${(y * this.height).toFixed(2)}`).join(' '),
      class: 'roi-shape', 'data-mode': shape.mode, fill: shape.mode === 'exclude' ? `url(#${this.name})` : 'none',
    });
    if (index === null) return made;
    const label = `${MODES[shape.mode]}: ${shape.kind === 'rectangle' ? 'rectangle' : 'freehand shape'} ${index + 1} of ${this.shapes.length}`;
    const facts = {'data-index': index, 'data-chosen': index === this.chosen ? 'yes' : 'no', tabindex: 0, role: 'button', 'aria-label': label, 'aria-pressed': index === this.chosen};
    for (const [name, value] of Object.entries(facts)) made.setAttribute(name, value);
    return made;
  }

  summary() {
    const [ignored, included] = ['exclude', 'include'].map(mode => this.shapes.filter(shape => shape.mode === mode).length);
    if (!this.shapes.length) return 'Everything counts. Draw what to ignore, or where to look.';
    const inside = included ? `only inside ${included === 1 ? 'the outlined shape' : `${included} outlined shapes`}` : 'everywhere';
    return `The model looks ${inside}${ignored ? ` except in ${ignored === 1 ? 'the hatched one' : `${ignored} hatched ones`}` : ''}.`;
  }

  say(text) {
    if (this.note.textContent !== text) this.note.textContent = text;
  }
}

function part(tag, attributes = {}) {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function pressed(group, name) {
  for (const button of group.children) button.ariaPressed = String(button.dataset.name === name);
}

const copied = ({kind, mode, points}) => ({kind, mode, points: points.map(point => [...point])});
