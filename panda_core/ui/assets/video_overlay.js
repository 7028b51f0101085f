// Marks over a frame: a small map of bytes (value = level * high / 255), painted as a mask, a heat map or not at all.
import {colourAt, packed} from './colours.js';

const MASK = [255, 64, 48];
const HEAT = 'viridis';
const FULL_SCALE = 2; // pixel thresholds that the brightest heat colour stands for

/** An overlay for a canvas of its own: paint(pen, map, look) lays it over what `pen`'s canvas shows. */
export function createOverlay() {
  const canvas = document.createElement('canvas');
  const own = canvas.getContext('2d');
  let image = null;

  const sized = (width, height) => {
    if (image?.width === width && image.height === height) return;
    [canvas.width, canvas.height] = [width, height];
    image = own.createImageData(width, height);
  };

  /** `map`: {levels, width, height, high}; `look`: {layer: 'mask' | 'heat' | 'none', threshold, opacity 0..1}. */
  function paint(pen, map, {layer, threshold, opacity}) {
    if (layer === 'none' || !map) return;
    const {width, height} = pen.canvas;
    if (layer === 'heat') sized(map.width, map.height); else sized(width, height);
    const cells = new Uint32Array(image.data.buffer);
    if (layer === 'heat') paintHeat(cells, map, threshold, opacity); else paintMask(cells, width, height, map, threshold, opacity);
    own.putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = true;
    pen.drawImage(canvas, 0, 0, width, height);
  }

  return {paint};
}

function paintHeat(cells, {levels, high}, threshold, opacity) {
  const scale = high / 255 / (FULL_SCALE * threshold);
  const shades = Uint32Array.from({length: 256}, (_, level) => packed(colourAt(HEAT, level * scale), opacity));
  for (let i = 0; i < cells.length; i++) cells[i] = shades[levels[i]];
}

// Above the threshold filled, its edge in full colour; between the map's cells the value is interpolated.
function paintMask(cells, width, height, map, threshold, opacity) {
  const limit = (threshold * 255) / map.high;
  const fill = packed(MASK, opacity);
  const edge = packed(MASK, 1);
  const columns = sampled(width, map.width);
  const rows = sampled(height, map.height);
  cells.fill(0);
  if (limit >= 255) return;
  for (let y = 0; y < height; y++) {
    const {from, to, share} = rows;
    const above = from[y] * map.width;
    const below = to[y] * map.width;
    for (let x = 0, at = y * width; x < width; x++, at++) {
      const left = columns.from[x];
      const right = columns.to[x];
      const top = map.levels[above + left] + (map.levels[above + right] - map.levels[above + left]) * columns.share[x];
      const bottom = map.levels[below + left] + (map.levels[below + right] - map.levels[below + left]) * columns.share[x];
      if (top + (bottom - top) * share[y] > limit) cells[at] = fill;
    }
  }
  outline(cells, width, height, fill, edge);
}

function outline(cells, width, height, fill, edge) {
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      if (cells[at] !== fill) continue;
      const inner = x && y && x < width - 1 && y < height - 1 && cells[at - 1] && cells[at + 1] && cells[at - width] && cells[at + width];
      if (!inner) cells[at] = edge;
    }
  }
}

// For each pixel of a longer row: the two cells it lies between and how far it is from the first.
function sampled(size, cells) {
  const from = new Int32Array(size);
  const to = new Int32Array(size);
  const share = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    const place = Math.min(Math.max(((i + 0.5) * cells) / size - 0.5, 0), cells - 1);
    from[i] = Math.floor(place);
    to[i] = Math.min(from[i] + 1, cells - 1);
    share[i] = place - from[i];
  }
  return {from, to, share};
}
