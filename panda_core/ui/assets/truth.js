// The true mask of an image: choosing a file for it, taking it away, and which colour is whose.
import {node} from './text.js';

/**
 * {element, choose(), show({visible, there, chosen}), agree(overlap)}: `there` is a true mask, `chosen` by the person and not the
 * data set's; `overlap` from overlap.js, or null. onChoose(file), onRemove().
 */
export function createTruth({onChoose, onRemove}) {
  const input = node('input', {type: 'file', accept: 'image/*,.tif,.tiff', hidden: true, onchange: () => {
    const [file] = input.files;
    input.value = '';
    if (file) onChoose(file);
  }});
  const button = (textContent, title, onclick) => node('button', {type: 'button', textContent, title, onclick});
  const choose = button('True mask…', 'A picture that is bright where this image is truly anomalous, and dark elsewhere', () => input.click());
  const remove = button('Remove', 'Take the true mask away', onRemove);
  const agreed = node('b');
  const key = node('span', {className: 'truth-key'}, swatch('marked', 'marked'), swatch('true', 'true mask'), agreed);
  const element = node('span', {className: 'truth'}, key, choose, remove, input);
  return {
    element,
    choose: () => input.click(),
    show({visible, there, chosen}) {
      element.hidden = !visible;
      key.hidden = !there;
      remove.hidden = !chosen;
      choose.textContent = there ? 'Other mask…' : 'True mask…';
    },
    agree(overlap) { agreed.textContent = overlap?.hit == null ? '' : `IoU ${overlap.iou.toFixed(2)}`; },
  };
}

const swatch = (name, text) => node('span', {}, node('i', {className: `swatch-${name}`}), text);
