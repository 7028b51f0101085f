// What the data check found: counts, advice, pictures of suspects with a choice, lists folded away.

import {node, served} from './text.js';

/** Draw a survey into `place`; `excluded` is the set of hashes left out, `onChange()` after it has changed. */
export function drawSurvey(place, survey, {excluded, onChange}) {
  const counts = [
    [survey.normal, 'normal'], [survey.anomalous, 'known anomalies'], [survey.train, 'to train on'], [survey.validation, 'held out'], [survey.test, 'test images'],
  ];
  const parts = [
    node('dl', {className: 'train-counts'}, ...counts.map(([count, what]) => node('div', {}, node('dt', {textContent: what}), node('dd', {textContent: count.toLocaleString('en')})))),
    node('p', {className: 'train-kinds', textContent: `${list(survey.sizes)} pixels · ${list(survey.kinds)}`}),
    node('ul', {className: 'train-advice'}, ...survey.advice.map(textContent => node('li', {textContent}))),
  ];
  if (survey.suspects.length) parts.push(suspects(survey.suspects, excluded, onChange));
  if (excluded.size) parts.push(leftOut(excluded, onChange));
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
    const button = node('button', {type: 'button', textContent: 'Leave out'});
    button.addEventListener('click', () => { excluded.add(suspect.sha256); button.disabled = true; onChange(); });
    const picture = suspect.picture ? node('img', {src: served(suspect.picture), alt: '', loading: 'lazy'}) : node('i');
    return node('figure', {}, picture, node('figcaption', {}, node('b', {textContent: short(suspect.path), title: suspect.path}), node('span', {textContent: suspect.reason}), button));
  });
  return node('section', {className: 'train-suspects'}, node('h3', {textContent: 'Is this really normal?'}), node('div', {}, ...figures));
}

function leftOut(excluded, onChange) {
  const button = node('button', {type: 'button', textContent: 'Take them back'});
  button.addEventListener('click', () => { excluded.clear(); onChange(); });
  return node('p', {className: 'train-left-out'}, node('span', {textContent: `${excluded.size} left out by you. `}), button);
}

function folded(title, lines) {
  if (!lines.length) return null;
  return node('details', {}, node('summary', {textContent: `${title} (${lines.length})`}), node('ul', {}, ...lines.slice(0, 200).map(textContent => node('li', {textContent}))));
}

const list = pairs => pairs.map(([what, count]) => `${what} (${count})`).join(', ');
const short = path => path.split(/[\\/]/).pop();
