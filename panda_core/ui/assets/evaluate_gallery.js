// The images a model gets most wrong: the highest-scoring normal and the lowest-scoring anomalous ones.

import {above} from './evaluate_rates.js';
import {node, number} from './text.js';

/** {show(result, kinds), judge(boundary)}; `onOpen(order, index)`: places of a row's pictures in the report, and which was opened. */
export function createGallery(root, {onOpen}) {
  const rows = [
    {place: root.querySelector('.alarms'), anomalous: false, what: 'normal', wrong: 'called anomalous', order: 'highest scores first', kind: 'normal'},
    {place: root.querySelector('.misses'), anomalous: true, what: 'anomalous', wrong: 'missed', order: 'lowest scores first', kind: 'anomalous'},
  ];
  let shown = null;
  let kinds = null;

  function show(result, scores) {
    shown = result;
    kinds = scores;
    for (const row of rows) {
      row.pictures = result.hardest.filter(one => result.labels[one.at] >= 0 === row.anomalous);
      row.tiles = row.pictures.map((one, index) => tile(one, result, () => onOpen(row.pictures.map(({at}) => at), index)));
      row.head = node('h4');
      row.place.replaceChildren(row.head, node('div', {className: 'tiles'}, ...row.tiles));
    }
  }

  function judge(boundary) {
    for (const row of rows) {
      const scores = kinds[row.kind];
      const called = above(scores, boundary);
      const wrong = row.anomalous ? scores.length - called : called;
      row.head.textContent = wrong ? `${wrong} of ${scores.length} ${row.what} images ${row.wrong}, ${row.order}` : `No ${row.what} image ${row.wrong}; the nearest, ${row.order}`;
      row.tiles.forEach((made, index) => {
        const odd = shown.scores[row.pictures[index].at] > boundary;
        made.dataset.wrong = odd === row.anomalous ? 'no' : 'yes';
      });
    }
  }

  return {show, judge};
}

function tile({at, name, picture}, {scores, labels, defects}, open) {
  const defect = labels[at] < 0 ? '' : ` · ${defects[labels[at]].name}`; // last, where it may be cut off
  const made = node('button', {type: 'button', title: name}, node('img', {src: picture, alt: ''}), node('b', {textContent: name.split('/').pop()}), node('span', {textContent: `score ${number(scores[at])}${defect}`}));
  made.addEventListener('click', open);
  return made;
}
