// What the data check found: counts, advice, pictures of suspects with a choice, lists folded away.

import {node, served} from './text.js';

/**
 * Draw a survey into `place`. `excluded`: hash -> suspect, what a person leaves out; `stale`: the check was made before they decided so.
 * `range`: of deep images, where it may be set for all of them; null otherwise. `onRange()` when a person wants that.
 * `onChange(hash)` after a person has decided, `onAgain()` when the folder is to be checked again.
 */
export function drawSurvey(place, survey, {excluded, stale, range, onChange, onAgain, onRange}) {
  const counts = [
    [survey.normal, 'normal'], [survey.anomalous, 'known anomalies'], [survey.train, 'to train on'], [survey.validation, 'held out'], [survey.test, 'test images'],
  ];
  const parts = [
    node('dl', {className: 'train-counts'}, ...counts.map(([count, what]) => node('div', {}, node('dt', {textContent: what}), node('dd', {textContent: count.toLocaleString('en')})))),
    node('p', {className: 'train-kinds', textContent: `${list(survey.sizes)} pixels · ${list(survey.kinds)}`}),
    node('ul', {className: 'train-advice'}, ...survey.advice.map(textContent => node('li', {textContent}))),
  ];
  if (range) {
    const button = node('button', {type: 'button', className: 'train-range', textContent: `Read all by one range: ${range[0]} to ${range[1]}`});
    button.addEventListener('click', onRange);
    parts.push(button);
  }
  const named = [...survey.excluded, ...[...excluded.values()].filter(one => one.path), ...survey.suspects];
  const asked = [...new Map(named.map(one => [one.sha256, one])).values()];
  if (asked.length) parts.push(suspects(asked, excluded, onChange));
  if (excluded.size || stale) parts.push(leftOut(excluded, stale, onAgain));
  parts.push(...[
    folded('Unreadable files', survey.unreadable.map(([path, reason]) => `${path}: ${reason}`)),
    folded('Duplicates', survey.duplicates.map(([path, same]) => `${path} = ${same}`)),
    folded('Near-duplicates', survey.near.map(group => group.map(short).join(', '))),
  ].filter(Boolean));
  place.dataset.usable = survey.usable ? 'yes' : 'no';
  place.replaceChildren(...parts);
}

function suspects(found, excluded, onChange) {
  const figures = found.map(suspect => {
    const out = excluded.has(suspect.sha256);
    const button = node('button', {type: 'button', textContent: out ? 'Keep' : 'Leave out', ariaLabel: `${out ? 'Keep' : 'Leave out'} ${short(suspect.path)}`});
    button.dataset.sha256 = suspect.sha256;
    button.addEventListener('click', () => {
      if (out) excluded.delete(suspect.sha256); else excluded.set(suspect.sha256, suspect);
      onChange(suspect.sha256);
    });
    const picture = suspect.picture ? node('img', {src: served(suspect.picture), alt: '', loading: 'lazy'}) : node('i');
    const caption = node('figcaption', {}, node('b', {textContent: short(suspect.path), title: suspect.path}), node('span', {textContent: out ? 'left out by you' : suspect.reason ?? 'left out until now'}), button);
    return node('figure', {className: out ? 'out' : ''}, picture, caption);
  });
  return node('section', {className: 'train-pictures'}, node('h3', {textContent: 'Is this really normal?'}), node('div', {}, ...figures));
}

function leftOut(excluded, stale, onAgain) {
  const line = node('p', {className: 'train-left-out'}, node('span', {textContent: [excluded.size && `${excluded.size} left out by you.`, stale && 'The counts above are from before what you have changed.'].filter(Boolean).join(' ')}));
  if (!stale) return line;
  const button = node('button', {type: 'button', textContent: 'Count again'});
  button.addEventListener('click', onAgain);
  line.append(button);
  return line;
}

function folded(title, lines) {
  if (!lines.length) return null;
  return node('details', {}, node('summary', {textContent: `${title} (${lines.length})`}), node('ul', {}, ...lines.slice(0, 200).map(textContent => node('li', {textContent}))));
}

const list = pairs => pairs.map(([what, count]) => `${what} (${count})`).join(', ');
const short = path => path.split(/[\\/]/).pop();
