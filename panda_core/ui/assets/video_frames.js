// The scored frames: their numbers at once, their pictures and maps when they are looked at, from packs of some frames each.

import {served} from './text.js';

const KEPT = 24; // packs in memory, some hundred frames

/** {take(packs), row(n), count(), rows(), load(n), clear()}; `onLost(pack)`: the server no longer has the file of that pack. */
export function createFrames({onLost}) {
  let packs = [];
  let rows = [];
  let bytes = new Map(); // pack number -> promise of its bytes, the one used last at the end

  /** Packs from number `from` on; false where some before are missing. Packs that are known get their new address. */
  function take(from, given) {
    if (from > packs.length) return false;
    given.forEach((pack, at) => {
      if (packs[from + at]?.path === pack.path) return;
      bytes.delete(from + at);
      packs[from + at] = pack;
      pack.rows.forEach((row, place) => { rows[pack.first + place] = {...row, id: pack.first + place, pack: from + at}; });
    });
    return true;
  }

  function fetched(number) {
    const known = bytes.get(number);
    bytes.delete(number);
    bytes.set(number, known || fetchBytes(served(packs[number].path)));
    while (bytes.size > KEPT) bytes.delete(bytes.keys().next().value);
    return bytes.get(number);
  }

  /** {row, picture, map} of frame n; rejects where its pack cannot be had. Whoever gets the picture closes it. */
  async function load(n) {
    const row = rows[n];
    try {
      const buffer = await fetched(row.pack);
      if (packs[row.pack + 1] && !bytes.has(row.pack + 1)) fetched(row.pack + 1).catch(() => {});
      const [width, height] = row.map;
      const picture = await createImageBitmap(new Blob([new Uint8Array(buffer, row.at, row.jpeg)], {type: 'image/jpeg'}));
      return {row, picture, map: {levels: new Uint8Array(buffer, row.at + row.jpeg, width * height), width, height, high: row.high}};
    } catch (error) {
      bytes.delete(row.pack);
      onLost(row.pack);
      throw error;
    }
  }

  function clear() {
    [packs, rows, bytes] = [[], [], new Map()];
  }

  /** Number of the last frame that is not after this second; frames come in order of time. */
  function at(seconds) {
    let low = 0;
    let high = rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (rows[middle].seconds <= seconds) low = middle; else high = middle - 1;
    }
    return Math.max(low, 0);
  }

  return {take, load, clear, at, row: n => rows[n], rows: () => rows, count: () => rows.length, packs: () => packs.length};
}

async function fetchBytes(url) {
  const answer = await fetch(url, {credentials: 'same-origin'});
  if (!answer.ok) throw new Error(`The pictures could not be fetched (${answer.status}).`);
  return answer.arrayBuffer();
}
