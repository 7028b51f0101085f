// The keyboard, and the dialog that lists it.
import {node} from './text.js';

const KEYS = [
  ['←  →', 'previous image, next image'],
  ['[  ]', 'boundary down or up by 1 % of its range; with Shift by 5 %'],
  ['1 – 8, 0', 'views: all, mask, contour, anomaly map, reconstruction, residual, swipe, true mask; input'],
  ['N  A', 'mark the image as normal or anomalous; again takes the mark away'],
  ['S', 'save what is shown, with the verdict, as a picture'],
  ['Z', 'fit the picture, or show it at 100 %'],
  ['+  −', 'zoom in or out'],
  ['R', 'thresholds back to the saved point, or to the model’s own'],
  ['?', 'this list'],
];
const MOUSE = [
  ['wheel, pinch', 'zoom'],
  ['drag', 'move the picture'],
  ['double click', 'fit, or 100 %'],
  ['click on a region', 'zoom to it; a row of the list does the same'],
  ['drop, paste', 'open an image'],
];
const TYPING = 'textarea, select, [contenteditable=true], [role=listbox], [role=combobox], '
  + 'input:not([type=range], [type=checkbox], [type=radio], [type=button])';
const OWN_ARROWS = 'input, [role=slider], [role=tab], [role=grid], [role=radio], video, audio';

/**
 * Listen for keys while `root` is on the screen; actions: step(by), nudge(share), view(key) -> boolean, mark(name), zoom(),
 * zoomBy(factor), reset(), picture(), help().
 */
export function bindKeys(root, actions) {
  const table = {
    ArrowLeft: () => actions.step(-1),
    ArrowRight: () => actions.step(1),
    '[': () => actions.nudge(-0.01),
    ']': () => actions.nudge(0.01),
    '{': () => actions.nudge(-0.05),
    '}': () => actions.nudge(0.05),
    n: () => actions.mark('normal'),
    a: () => actions.mark('anomalous'),
    z: () => actions.zoom(),
    r: () => actions.reset(),
    s: () => actions.picture(),
    '+': () => actions.zoomBy(1.3),
    '-': () => actions.zoomBy(1 / 1.3),
    '?': () => actions.help(),
  };
  document.addEventListener('keydown', event => {
    if (!root.isConnected || !root.getClientRects().length || event.defaultPrevented || !meant(event)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const run = table[key];
    if (run) run(); else if (!actions.view(key)) return;
    event.preventDefault();
  });
}

// AltGr is how many keyboards reach the brackets; other combinations belong to the browser.
function meant(event) {
  const altGr = event.getModifierState('AltGraph');
  if ((event.ctrlKey || event.metaKey || event.altKey) && !altGr) return false;
  if (document.querySelector('dialog[open]')) return false;
  const at = event.target instanceof Element ? event.target : document.body;
  return !at.closest(TYPING) && !(event.key.startsWith('Arrow') && at.closest(OWN_ARROWS));
}

/** The dialog of all keys, with the way to the tour (tour.js): {element, open()}. A native dialog keeps the focus inside and closes on Esc. */
export function createHelp() {
  const close = node('button', {type: 'button', textContent: 'Close', onclick: () => element.close()});
  const tour = node('button', {type: 'button', className: 'plain', textContent: 'Take the tour', onclick: () => {
    element.close();
    document.dispatchEvent(new Event('panda-tour'));
  }});
  const element = node('dialog', {className: 'panel help'},
    node('h2', {textContent: 'Keys and mouse'}), list(KEYS), list(MOUSE), close, tour);
  element.setAttribute('aria-label', 'Keys and mouse');
  element.addEventListener('click', event => { if (event.target === element) element.close(); });
  return {element, open() { if (!element.open) element.showModal(); close.focus(); }};
}

function list(rows) {
  return node('dl', {}, ...rows.flatMap(([key, meaning]) => [node('dt', {textContent: key}), node('dd', {textContent: meaning})]));
}
