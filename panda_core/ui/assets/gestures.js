// Pointer, wheel and touch over the pictures, told apart: drag pans, wheel and pinch zoom, a click picks, a double click zooms.

const STILL = 4; // pixels a click may wander
const DOUBLE = 230; // milliseconds a click waits, in case it is the first half of a double click

/** Listen on `frame`; the actions get client coordinates: zoom(factor, at), pan(dx, dy, at), pick(at), toggle(at), hover(at), leave(). */
export function addGestures(frame, {zoom, pan, pick, toggle, hover, leave}) {
  const down = new Map(); // pointer -> where it was last; of one that has not wandered yet, where it came down
  let moved = false;
  let waiting = 0;

  frame.addEventListener('wheel', event => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), place(event));
  }, {passive: false});

  frame.addEventListener('pointerdown', event => {
    if (event.button || event.target.closest('button, [role=slider]')) return;
    frame.setPointerCapture(event.pointerId);
    down.set(event.pointerId, place(event));
    moved = down.size > 1;
  });

  frame.addEventListener('pointermove', event => {
    const before = down.get(event.pointerId);
    const now = place(event);
    if (!before) return hover(now);
    if (!moved && distance(before, now) <= STILL) return;
    moved = true;
    if (down.size === 1) pan(now.x - before.x, now.y - before.y, now);
    else if (down.size === 2) pinch(event.pointerId, before, now);
    down.set(event.pointerId, now);
  });

  frame.addEventListener('pointerup', event => {
    if (down.delete(event.pointerId) && !down.size && !moved) pickLater(place(event));
  });
  frame.addEventListener('pointercancel', event => down.delete(event.pointerId));
  frame.addEventListener('pointerleave', leave);
  frame.addEventListener('dblclick', event => {
    clearTimeout(waiting);
    if (!event.target.closest('button')) toggle(place(event));
  });

  function pickLater(at) {
    clearTimeout(waiting);
    waiting = setTimeout(() => pick(at), DOUBLE);
  }

  // One finger of two has moved: their distance zooms, their middle moves the picture.
  function pinch(moving, before, now) {
    const other = [...down].find(([id]) => id !== moving)[1];
    const middle = {x: (now.x + other.x) / 2, y: (now.y + other.y) / 2};
    pan((now.x - before.x) / 2, (now.y - before.y) / 2, middle);
    zoom(distance(now, other) / Math.max(1, distance(before, other)), middle);
  }
}

const place = ({clientX, clientY}) => ({x: clientX, y: clientY});
const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
