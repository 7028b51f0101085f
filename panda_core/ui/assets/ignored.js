// The part of a picture that the model does not look at, darkened, so that nobody takes a blank there for a finding of "normal".
import {corners} from './roi_shapes.js';

const DARK = 'rgb(0 0 0 / 60%)'; // the picture stays visible below

/** Darken what `shapes` (roi_shapes.js) leave out, on the pen of an empty canvas, for a picture at {left, top, width, height}. */
export function drawIgnored(pen, shapes, {left, top, width, height}) {
  const fill = (mode, how) => {
    pen.globalCompositeOperation = how;
    for (const shape of shapes.filter(one => one.mode === mode)) {
      pen.beginPath();
      for (const [x, y] of corners(shape)) pen.lineTo(left + x * width, top + y * height);
      pen.fill();
    }
  };
  if (shapes.some(one => one.mode === 'include')) pen.fillRect(left, top, width, height);
  fill('include', 'destination-out');
  fill('exclude', 'source-over');
  // At the end and all at once, or where shapes overlap it would be twice as dark.
  Object.assign(pen, {globalCompositeOperation: 'destination-in', fillStyle: DARK});
  pen.fillRect(0, 0, pen.canvas.width, pen.canvas.height);
}
