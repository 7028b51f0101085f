// The bars above and below the pictures.
import {COLOUR_MAPS, gradient} from './colours.js';
import {node, number, percent} from './text.js';

/** Views in the order of the bar and their keys. */
export const VIEWS = [
  {name: 'all', label: 'All', key: '1'},
  {name: 'overlay', label: 'Mask', key: '2'},
  {name: 'contour', label: 'Contour', key: '3'},
  {name: 'heatmap', label: 'Anomaly map', key: '4'},
  {name: 'reconstruction', label: 'Reconstruction', key: '5'},
  {name: 'residual', label: 'Residual', key: '6'},
  {name: 'swipe', label: 'Swipe', key: '7'},
  {name: 'truth', label: 'Truth', key: '8', title: 'Image, contour and true mask side by side'},
  {name: 'input', label: 'Input', key: '0'},
];
const OTHERS = {reconstruction: 'Reconstruction', heat: 'Anomaly map', mask: 'Mask', residual: 'Residual'};

/** The bar of views, region, steps and help: {element, choose(view), place({index, count}), bound(ignored share)}. */
export function createToolbar({onView, onStep, onRegion, onHelp}) {
  const buttons = VIEWS.map(({name, label, key, title = label}) => {
    const button = node('button', {type: 'button', textContent: label, title: `${title} (${key})`, onclick: () => onView(name)});
    button.dataset.view = name;
    return button;
  });
  const views = node('div', {className: 'views'}, ...buttons);
  views.setAttribute('role', 'group');
  views.setAttribute('aria-label', 'View');
  const where = node('span', {className: 'where'});
  const before = iconButton('‹', 'Previous image (←)', () => onStep(-1));
  const after = iconButton('›', 'Next image (→)', () => onStep(1));
  const steps = node('div', {className: 'steps', hidden: true}, before, where, after);
  const region = node('button', {type: 'button', className: 'region', onclick: onRegion});
  const element = node('div', {className: 'toolbar'}, views, region, steps, iconButton('?', 'Keys and help (?)', onHelp));

  return {
    element,
    bound(ignored) {
      region.textContent = ignored ? `Region · ${percent(1 - ignored)}` : 'Region…';
      region.title = ignored ? `${percent(ignored)} of the image is ignored; press to change` : 'Say where the model looks';
    },
    choose(view) {
      for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset.view === view));
      const {offsetLeft, offsetWidth} = buttons.find(button => button.dataset.view === view);
      views.scrollLeft = offsetLeft - views.offsetLeft - (views.clientWidth - offsetWidth) / 2;
    },
    place(position) {
      steps.hidden = !position || position.count < 2;
      if (steps.hidden) return;
      where.textContent = `${position.index + 1} / ${position.count}`;
      before.disabled = position.index <= 0;
      after.disabled = position.index >= position.count - 1;
    },
  };
}

/** The bar of read-out, colours, opacity, zoom and `truth`, the element of truth.js: {element, read(text), show(state)}. */
export function createFoot({onColours, onOpacity, onOther, onZoom, truth}) {
  const readout = node('output', {className: 'readout'});
  const bar = node('i', {className: 'bar'});
  const [low, high] = [node('span'), node('span')];
  const legend = node('span', {className: 'legend'}, low, bar, high);
  const other = choice('Compare with', OTHERS, onOther);
  const colours = choice('Colours', COLOUR_MAPS, onColours);
  const slider = node('input', {type: 'range', min: 0, max: 1, step: 0.01, oninput: () => onOpacity(slider.valueAsNumber)});
  const opacity = node('label', {className: 'opacity'}, node('span', {textContent: 'Opacity'}), slider);
  const zoom = node('button', {type: 'button', className: 'zoom', title: 'Fit the picture or show it at 100 % (Z)', onclick: onZoom});
  const element = node('div', {className: 'foot'}, readout, truth, legend, other.element, colours.element, opacity, zoom);

  return {
    element,
    read(text) { readout.textContent = text; },
    /** `scale`: {low, high, unit} of the colours in view, or null; `opacity`: 0..1 or null where there is none to set. */
    show(state) {
      legend.hidden = colours.element.hidden = !state.scale;
      if (state.scale) {
        bar.style.background = gradient(state.colours);
        low.textContent = number(state.scale.low);
        high.textContent = `${number(state.scale.high)}${state.scale.unit}`;
      }
      colours.set(state.colours);
      other.element.hidden = state.view !== 'swipe';
      other.set(state.other);
      opacity.hidden = state.opacity === null;
      if (state.opacity !== null) slider.value = state.opacity;
      zoom.textContent = state.percent;
    },
  };
}

function choice(label, names, onChange) {
  const options = Object.entries(names).map(([value, textContent]) => node('option', {value, textContent}));
  const select = node('select', {onchange: () => onChange(select.value)}, ...options);
  const element = node('label', {className: 'choice'}, node('span', {textContent: label}), select);
  return {element, set(value) { select.value = value; }};
}

function iconButton(textContent, title, onclick) {
  const button = node('button', {type: 'button', className: 'icon', textContent, title, onclick});
  button.setAttribute('aria-label', title);
  return button;
}
