// What the stage shows as one PNG to keep or to send: the whole image in every pane of the view, with the verdict below.
import {Pane} from './pane.js';
import {node, number, percent} from './text.js';
import {agreement, origin} from './words.js';

const MOST = {one: 2048, several: 1024}; // pixels of the longer side of a pane
const LEAST = 480; // narrower pictures are enlarged, in whole steps: the words below need room
const GAP = 12;
const LINE = 22;
const FONT = 'system-ui, sans-serif';
const SWIPED = {reconstruction: 'reconstruction', heat: 'heatmap', mask: 'overlay', residual: 'residual'};

/** A canvas of `kinds` of panes side by side over `lines` of text, the first of them bold. */
export function drawSheet(kinds, scene, lines) {
  const shown = kinds.flatMap(kind => (kind === 'swipe' ? ['input', SWIPED[scene.look.other]] : [kind]));
  const {width, height} = scene.value;
  const most = (shown.length > 1 ? MOST.several : MOST.one) / Math.max(width, height);
  const scale = most < 1 ? most : Math.min(Math.floor(most), Math.ceil(LEAST / width));
  const size = {width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale))};
  const sheet = node('canvas', {
    width: Math.max(LEAST, shown.length * (size.width + GAP) - GAP) + 2 * GAP, height: size.height + (lines.length + 1) * LINE + 3 * GAP,
  });
  const pen = sheet.getContext('2d');
  Object.assign(pen, {fillStyle: '#fff', textBaseline: 'top'});
  pen.fillRect(0, 0, sheet.width, sheet.height);
  pen.fillStyle = '#111827';
  const whole = {...scene, camera: {place: () => ({scale, left: 0, top: 0})}, highlight: -1};
  shown.forEach((kind, index) => {
    const left = GAP + index * (size.width + GAP);
    write(pen, labelOf(kind, scene), left, GAP, 13, 400, shown.length > 1 ? size.width : sheet.width - 2 * GAP);
    for (const layer of layersOf(kind, whole, size)) pen.drawImage(layer, left, GAP + LINE, size.width, size.height);
  });
  const below = size.height + LINE + 2 * GAP;
  lines.forEach((line, index) => write(pen, line, GAP, below + index * LINE, index ? 13 : 16, index ? 400 : 600, sheet.width - 2 * GAP));
  return sheet;
}

// On paper nothing else says whose colour is whose.
function labelOf(kind, {grids}) {
  return kind === 'contour' && grids.truth ? `${Pane.label(kind)}: marked red, true mask blue` : Pane.label(kind);
}

function layersOf(kind, scene, size) {
  const pane = new Pane(() => {});
  pane.setKind(kind);
  pane.size = size;
  pane.draw(scene, true);
  return pane.layers;
}

function write(pen, text, x, y, size, weight = 400, most) {
  pen.font = `${weight} ${size}px ${FONT}`;
  pen.fillText(text, x, y, most);
}

/**
 * The words below: `payload` as it came, `thresholds` as thresholds.js has them, what the page says {verdict, regions, the marked
 * `share`, `overlap` with the true mask or null}, and when.
 */
export function wordsOf(payload, {boundary, pixel, moved}, {verdict, regions, share, overlap}, when) {
  const marked = payload.mark ? ` · marked as ${payload.mark}` : '';
  const ignored = payload.roi?.ignored ? ` · ${percent(payload.roi.ignored)} of the image ignored` : '';
  return [
    `${payload.name}: ${verdict}`,
    `Score ${number(payload.score)}, boundary ${number(boundary)}. ${origin(payload.boundary, payload.own.boundary, moved.boundary)[0]}`,
    `${regions} region${regions === 1 ? '' : 's'}, ${percent(share)} of the image above ${number(pixel)} SD${ignored}${marked}`,
    ...(overlap ? [agreement(overlap).join('')] : []),
    `PANDA Inspector, model “${payload.model}”, ${when.toLocaleString('sv').slice(0, 16)}`,
  ];
}

/** Hand a canvas to the browser as a file named after the image. */
export async function saveSheet(sheet, name) {
  const blob = await new Promise(resolve => sheet.toBlob(resolve, 'image/png'));
  const href = URL.createObjectURL(blob);
  node('a', {href, download: `${name.replace(/\.[^.]*$/, '')} inspected.png`}).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000); // the download reads it after this function has returned
}
