// What lies over the picture, painted pixel by pixel at the size of the screen: mask, contour, heat map, residual. Pure.
// Painting what is seen, not the map, makes the cost that of the screen and the contour as thin when zoomed in as when not.
// `columns` and `rows` name the grid's cell under each screen pixel; a rect is {x0, y0, x1, y1} in screen pixels, ends exclusive.

/** Column (or row) of the grid under each of `count` screen pixels; -1 outside. All lengths in screen pixels. */
export function samples(count, {offset, length, cells}) {
  const out = new Int32Array(count).fill(-1);
  const [first, last] = [Math.max(0, Math.ceil(offset - 0.5)), Math.min(count, Math.ceil(offset + length - 0.5))];
  for (let i = first; i < last; i++) out[i] = Math.min(cells - 1, Math.floor(((i + 0.5 - offset) / length) * cells));
  return out;
}

/** The screen pixels that show cells x0..x1, y0..y1 (ends exclusive) of a grid; both empty where none is in view. */
export function rectOf([x0, y0, x1, y1], columns, rows) {
  const [left, right] = span(columns, x0, x1);
  const [top, bottom] = span(rows, y0, y1);
  return {x0: left, y0: top, x1: right, y1: bottom};
}

function span(cells, from, to) {
  let first = 0;
  let last = cells.length;
  while (first < last && (cells[first] < from || cells[first] >= to)) first++;
  while (last > first && (cells[last - 1] < from || cells[last - 1] >= to)) last--;
  return [first, last];
}

/** Set a rect of `buffer` (rows of `width`) to 0. */
export function wipe(buffer, width, {x0, y0, x1, y1}) {
  for (let y = y0; y < y1; y++) buffer.fill(0, y * width + x0, y * width + x1);
}

/** A mask (0 or 1 a cell, rows of `gridWidth`) as seen in a rect of the screen, one byte a pixel, into `seen`. */
export function sampleMask(seen, mask, gridWidth, columns, rows, {x0, y0, x1, y1}) {
  const width = columns.length;
  for (let y = y0; y < y1; y++) {
    const to = y * width;
    if (y > y0 && rows[y] === rows[y - 1]) { seen.copyWithin(to + x0, to - width + x0, to - width + x1); continue; }
    const from = rows[y] * gridWidth;
    for (let x = x0; x < x1; x++) seen[to + x] = mask[from + columns[x]];
  }
}

/** Fill and outline of a seen mask in a rect of `pixels`; `fill` and `edge` are packed colours, 0 leaves out; `thick` in pixels. */
export function paintMask(pixels, seen, width, {x0, y0, x1, y1}, {fill, edge, thick}) {
  const [up, height] = [thick * width, seen.length / width];
  for (let y = y0; y < y1; y++) {
    const inner = y >= thick && y < height - thick;
    for (let x = x0, at = y * width + x0; x < x1; x++, at++) {
      if (!seen[at]) continue;
      const inside = inner && x >= thick && x < width - thick && seen[at - thick] && seen[at + thick] && seen[at - up] && seen[at + up];
      if (!inside) pixels[at] = edge; else if (fill) pixels[at] = fill;
    }
  }
}

/** A grid in colours into `pixels`; `colours` has one packed colour a level. */
export function paintHeat(pixels, grid, columns, rows, colours) {
  const width = columns.length;
  for (let y = 0; y < rows.length; y++) {
    if (rows[y] < 0) continue;
    const to = y * width;
    if (y && rows[y] === rows[y - 1]) { pixels.copyWithin(to, to - width, to); continue; }
    const from = rows[y] * grid.width;
    for (let x = 0; x < width; x++) if (columns[x] >= 0) pixels[to + x] = colours[grid.data[from + columns[x]]];
  }
}
