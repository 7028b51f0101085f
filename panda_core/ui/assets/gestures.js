// Pointer, wheel and touch over the pictures, told apart: drag pans, wheel and pinch zoom, a click picks, a double click zooms.

const STILL = 4; // pixels a click may wander
const DOUBLE = 230; // milliseconds a click waits, in case it is the first half of a double click

/** Listen on `frame`; the actions get client coordinates: zoom(factor, at), pan(dx, dy, at), pick(at), toggle(at), hover(at), leave(). */
export function addGestures(frame, {zoom, pan, pick, toggle, hover, leave}) {
  const down = new Map();
  let wandered = 0;
  let waiting = 0;

  frame.addEventListener('wheel', event => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), place(event));
  }, {passive: false});

  frame.addEventListener('pointerdown', event => {
    if (event.button || event.target.closest('button, [role=slider]')) return;
    frame.setPointerCapture(event.pointerId);
    down.set(event.pointerId, place(event));
    wandered = down.size > 1 ? STILL + 1 : 0;
  });

  frame.addEventListener('pointermove', event => {
    const before = down.get(event.pointerId);
    const now = place(event);
    if (!before) return hover(now);
    const [dx, dy] = [now.x - before.x, now.y - before.y];
    wandered += Math.abs(dx) + Math.abs(dy);
    if (down.size === 2) pinch(event.pointerId, before, now);
    else if (wandered > STILL) pan(dx, dy, now);
    down.set(event.pointerId, now);
  });

  frame.addEventListener('pointerup', event => {
    if (down.delete(event.pointerId) && !down.size && wandered <= STILL) pickLater(place(event));
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

  function pinch(moving, before, now) {
    const other = [...down].find(([id]) => id !== moving)[1];
    zoom(distance(now, other) / Math.max(1, distance(before, other)), {x: (now.x + other.x) / 2, y: (now.y + other.y) / 2});
  }
}

const place = ({clientX, clientY}) => ({x: clientX, y: clientY});
const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
