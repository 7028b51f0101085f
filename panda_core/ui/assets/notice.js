// A message in the place of the pictures: nothing open yet, busy, or an error.
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
