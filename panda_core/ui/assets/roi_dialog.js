// Where the model looks: a dialog over the picture in which shapes are drawn; nothing changes before it is applied.
import {attachRoi} from './roi.js';
import {node} from './text.js';

/** {element, open(payload)}; onApply(shapes) with what was drawn, [] for the whole image. */
export function createRoiDialog({onApply}) {
  const tools = node('div');
  const picture = node('img', {alt: ''});
  const sheet = node('div', {className: 'roi-sheet'}, picture);
  const button = (text, onclick) => node('button', {type: 'button', textContent: text, onclick});
  let drawing = null;
  const finish = shapes => {
    element.close();
    onApply(shapes);
  };
  const element = node('dialog', {className: 'panel roi-dialog'},
    node('h2', {textContent: 'Region of interest'}),
    node('p', {textContent: 'What is ignored raises no alarm. The region is kept for this model and holds for all its images, in batches and videos, too. '
      + 'The boundary was calibrated on whole images: check it with images you know.'}),
    tools, sheet,
    node('div', {className: 'roi-actions'},
      button('Apply', () => finish(drawing.shapes())), button('Whole image', () => finish([])), button('Cancel', () => element.close())));
  element.setAttribute('aria-label', 'Region of interest');
  element.addEventListener('close', () => {
    drawing?.detach();
    drawing = null;
    tools.replaceChildren();
  });

  return {
    element,
    open(payload) {
      if (element.open) return;
      picture.src = payload.files.input.url;
      sheet.style.aspectRatio = `${payload.width} / ${payload.height}`;
      element.showModal();
      drawing = attachRoi(sheet, {width: payload.width, height: payload.height, shapes: payload.roi.shapes});
      tools.replaceChildren(drawing.toolbar);
    },
  };
}
