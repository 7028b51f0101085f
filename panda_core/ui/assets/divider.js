// The handle between the two halves of the swipe view.
import {node} from './text.js';

const STEP = 0.02;
const ROLE = {
  role: 'slider', 'aria-label': 'Divider, per cent from the left', 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': '50',
};

/** A handle that sets the custom property --divide of its parent, by pointer or arrow keys. */
export function createDivider() {
  const handle = node('div', {className: 'divider', tabIndex: 0, hidden: true});
  let share = 0.5;
  for (const [name, text] of Object.entries(ROLE)) handle.setAttribute(name, text);

  function set(wanted) {
    share = Math.min(Math.max(wanted, 0), 1);
    handle.parentElement.style.setProperty('--divide', `${100 * share}%`);
    handle.setAttribute('aria-valuenow', String(Math.round(100 * share)));
  }

  handle.addEventListener('pointerdown', event => handle.setPointerCapture(event.pointerId));
  handle.addEventListener('pointermove', event => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = handle.parentElement.getBoundingClientRect();
    set((event.clientX - box.left) / box.width);
  });
  handle.addEventListener('keydown', event => {
    const by = {ArrowLeft: -STEP, ArrowRight: STEP}[event.key];
    if (by) set(share + by);
  });
  return handle;
}
