// A message in the place of the pictures (nothing open yet, busy, an error), and a word over them.
import {node} from './text.js';

/** {element, show({title, text, command})}: all by textContent, since names of files are in it. */
export function createNotice() {
  const parts = {title: node('h2'), text: node('p'), command: node('code')};
  const element = node('div', {className: 'notice'}, ...Object.values(parts));
  element.setAttribute('role', 'alert');

  function show(notice) {
    for (const [name, part] of Object.entries(parts)) {
      part.textContent = notice[name] || '';
      part.hidden = !notice[name];
    }
  }

  return {element, show};
}

const LONG = 12_000; // ms a word stays: long enough to be read twice

/** {element, say(text)}: a word over the pictures that leaves them as they are; it goes by itself, on a press, or with say(''). */
export function createWord() {
  const element = node('button', {type: 'button', className: 'word', hidden: true, title: 'Close'});
  const live = node('div', {className: 'word-place'}, element);
  let going = 0;
  live.setAttribute('role', 'alert');
  element.addEventListener('click', () => say(''));

  function say(text) {
    clearTimeout(going);
    element.textContent = text;
    element.hidden = !text;
    if (text) going = setTimeout(() => say(''), LONG);
  }

  return {element: live, say};
}
