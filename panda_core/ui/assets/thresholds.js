// The two sliders with their number boxes, the link between them, the way back, and saving as operating point.
import {linked, rangesOf, reaching, sameStart, settled, within} from './ranges.js';
import {node, number} from './text.js';

const LINK_HELP = 'While linked, both sliders stand at the same share of the way from the model’s value to the end of their range: '
  + 'half way to the right end on one is half way to the right end on the other.';
const WHO = 'panda-who';

/**
 * The thresholds' controls: {element, open(payload), get(), nudge(share), reset(), say(message)}.
 * `onMove()` while a slider moves, `onRelease()` when it rests, `onSave({who, why})` when the
 * form is sent, `onForget()` when the saved point is to be given up.
 */
export function createThresholds({onMove, onRelease, onSave, onForget}) {
  const rows = {
    boundary: createRow('boundary', 'Image boundary (score)', move, onRelease),
    pixel: createRow('pixel', 'Pixel threshold (SD of normal)', move, onRelease),
  };
  const link = node('input', {type: 'checkbox', checked: true});
  const linkLabel = node('label', {className: 'link', title: LINK_HELP}, link, 'Linked');
  const back = node('button', {type: 'button', className: 'reset', onclick: reset});
  const forget = node('button', {type: 'button', className: 'forget', textContent: 'Back to the model’s own', onclick: onForget});
  const form = createSaveForm(onSave);
  const element = node('section', {className: 'thresholds'}, rows.boundary.element, rows.pixel.element,
    node('div', {className: 'line'}, linkLabel, back, form.button, forget), form.element, form.message);
  element.setAttribute('aria-label', 'Thresholds');
  let ranges = null;
  let values = null;
  let model = '';

  function open(payload) {
    const next = rangesOf(payload);
    const kept = payload.model === model && sameStart(ranges, next) ? values : null;
    [ranges, model] = [kept ? reaching(next, kept) : next, payload.model];
    back.textContent = payload.operating_point ? 'Reset to the saved point' : 'Reset to the model’s own';
    forget.hidden = !payload.operating_point;
    // What a person has moved holds for the next image of the same model, until it is taken back or the model's own thresholds change.
    values = kept ?? {boundary: ranges.boundary.start, pixel: ranges.pixel.start};
    for (const name of ['boundary', 'pixel']) rows[name].open(ranges[name]);
    form.close();
    put();
  }

  function move(name, value) {
    const other = name === 'boundary' ? 'pixel' : 'boundary';
    values[name] = value;
    if (link.checked) values[other] = linked(value, ranges[name], ranges[other]);
    put();
    onMove();
  }

  const moved = () => ({boundary: values.boundary !== ranges.boundary.start, pixel: values.pixel !== ranges.pixel.start});

  function put() {
    for (const name of ['boundary', 'pixel']) rows[name].put(values[name]);
    back.disabled = form.button.disabled = !moved().boundary && !moved().pixel;
  }

  function reset() {
    values = {boundary: ranges.boundary.start, pixel: ranges.pixel.start};
    put();
    onMove();
    onRelease();
  }

  /** Move the boundary by a share of its range. */
  function nudge(share) {
    const {low, high} = ranges.boundary;
    move('boundary', within(values.boundary + share * (high - low), ranges.boundary));
    onRelease();
  }

  return {
    element, open, nudge, reset,
    say: form.say,
    get: () => ({...values, ranges, moved: moved()}),
  };
}

function createRow(name, label, onMove, onRelease) {
  const slider = node('input', {type: 'range', step: 'any', onchange: onRelease});
  const box = node('input', {type: 'number', step: 'any'});
  const start = node('i', {className: 'start', title: 'Where the model has it'});
  let range = null;
  let at = null;
  slider.setAttribute('aria-label', label);
  box.setAttribute('aria-label', `${label}, as a number`);
  slider.addEventListener('input', () => onMove(name, settled(slider.valueAsNumber, range)));
  box.addEventListener('change', () => {
    if (!Number.isFinite(box.valueAsNumber)) { put(at); return; }
    onMove(name, within(box.valueAsNumber, range));
    onRelease();
  });
  const track = node('div', {className: 'track'}, slider, start);
  const element = node('div', {className: `threshold ${name}`}, node('span', {textContent: label}), box, track);

  function put(value) {
    at = value;
    slider.value = value;
    slider.style.setProperty('--at', (value - range.low) / (range.high - range.low));
    slider.setAttribute('aria-valuetext', number(value));
    box.value = Number(value.toPrecision(5));
  }

  return {
    element, put,
    open(next) {
      range = next;
      Object.assign(slider, {min: range.low, max: range.high});
      start.style.setProperty('--at', (range.start - range.low) / (range.high - range.low));
    },
  };
}

// Who and why are asked for because the next person has to know whose threshold this is.
function createSaveForm(onSave) {
  const button = node('button', {type: 'button', className: 'keep', textContent: 'Save as operating point…'});
  const who = node('input', {type: 'text', required: true, maxLength: 80, autocomplete: 'name'});
  const why = node('input', {type: 'text', required: true, maxLength: 300, placeholder: 'e.g. no shadow may raise an alarm'});
  const cancel = node('button', {type: 'button', textContent: 'Cancel'});
  const element = node('form', {className: 'save', hidden: true},
    node('p', {textContent: 'From now on the model judges every image by these two thresholds.'}),
    node('label', {}, 'Your name', who), node('label', {}, 'Reason', why),
    node('div', {className: 'line'}, node('button', {type: 'submit', textContent: 'Save'}), cancel));
  const message = node('p', {className: 'message', hidden: true});
  message.setAttribute('role', 'status');
  const close = () => { element.hidden = true; button.setAttribute('aria-expanded', 'false'); };
  const say = ({text = '', error = false}) => {
    message.hidden = !text;
    message.textContent = text;
    message.dataset.error = error ? 'yes' : 'no';
  };

  button.setAttribute('aria-expanded', 'false');
  button.addEventListener('click', () => {
    element.hidden = !element.hidden;
    button.setAttribute('aria-expanded', String(!element.hidden));
    who.value ||= localStorage.getItem(WHO) || '';
    if (!element.hidden) (who.value ? why : who).focus();
  });
  cancel.addEventListener('click', () => { close(); button.focus(); });
  element.addEventListener('submit', event => {
    event.preventDefault();
    localStorage.setItem(WHO, who.value.trim());
    say({text: 'Saving…'});
    onSave({who: who.value.trim(), why: why.value.trim()});
    close();
  });
  return {button, element, message, close, say};
}
