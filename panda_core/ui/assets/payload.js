// Pictures and maps of one inspection, from the files its value names. A canvas has 8 bits a channel, so a map travels as a
// PNG whose red is the high and whose green the low byte.

const DRAG_SIDE = 1024;
const LEVELS = 65535;

/**
 * The value's files, decoded: {pictures: {input, reconstruction}, grids: {map, small, residual, truth}}.
 * A grid is {data, width, height, low, step}: value = low + data * step. `small` is the map at 1024 px or less, for drags;
 * `truth` is a grid of 0 and 1, or null. Rejects where a file cannot be read.
 */
export async function loadPayload(value) {
  const {files} = value;
  const [input, reconstruction, map, residual] = await Promise.all(
    [files.input, files.reconstruction, files.map, files.residual].map(file => bitmapOf(file.url)));
  const full = toGrid(map, value.map);
  return {
    pictures: {input, reconstruction},
    grids: {map: full, small: reduce(full, DRAG_SIDE), residual: toGrid(residual, value.residual), truth: await loadTruth(value)},
  };
}

/** The value's true mask as a grid of 0 and 1; null where it has none. Rejects where the file cannot be read. */
export async function loadTruth({files}) {
  return files.truth ? toMask(await bitmapOf(files.truth.url)) : null;
}

/** Value of a grid at a place given in shares of its width and height; null outside. */
export function valueAt(grid, x, y) {
  if (x < 0 || y < 0 || x >= 1 || y >= 1) return null;
  return grid.low + grid.data[Math.floor(y * grid.height) * grid.width + Math.floor(x * grid.width)] * grid.step;
}

/** The grid with at most `side` pixels on its longer side, as means of square blocks; itself if it is small enough. */
export function reduce(grid, side) {
  const block = Math.ceil(Math.max(grid.width, grid.height) / side);
  if (block <= 1) return grid;
  const width = Math.ceil(grid.width / block);
  const height = Math.ceil(grid.height / block);
  const data = new Uint16Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data[y * width + x] = blockMean(grid, x * block, y * block, block);
  }
  return {...grid, data, width, height};
}

function blockMean({data, width, height}, x0, y0, block) {
  const x1 = Math.min(x0 + block, width);
  const y1 = Math.min(y0 + block, height);
  let sum = 0;
  for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) sum += data[y * width + x];
  return Math.round(sum / ((x1 - x0) * (y1 - y0)));
}

async function bitmapOf(url) {
  const answer = await fetch(url, {credentials: 'same-origin'});
  if (!answer.ok) throw new Error(`A picture of the result could not be fetched (${answer.status}).`);
  // Any conversion of colours or alpha would change the numbers that the pixels carry.
  return createImageBitmap(await answer.blob(), {premultiplyAlpha: 'none', colorSpaceConversion: 'none'});
}

function pixelsOf(bitmap) {
  const canvas = document.createElement('canvas');
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  pen.drawImage(bitmap, 0, 0);
  return pen.getImageData(0, 0, bitmap.width, bitmap.height).data;
}

function toGrid(bitmap, {low, high}) {
  const {width, height} = bitmap;
  const bytes = pixelsOf(bitmap);
  const data = new Uint16Array(width * height);
  for (let i = 0, j = 0; i < data.length; i++, j += 4) data[i] = (bytes[j] << 8) | bytes[j + 1];
  return {data, width, height, low, step: (high - low) / LEVELS};
}

function toMask(bitmap) {
  const {width, height} = bitmap;
  const bytes = pixelsOf(bitmap);
  const data = new Uint8Array(width * height);
  for (let i = 0; i < data.length; i++) data[i] = bytes[4 * i] > 127 ? 1 : 0;
  return {data, width, height, low: 0, step: 1};
}
