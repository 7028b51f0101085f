// "Advanced": an input for every field of the configuration, made from its description; only what was changed is sent.

import {node} from './text.js';

/** {build(fields), rebase(values, unread), fill(changes), changes(), complain({name: text}), has(name)}; `onChange()` after a person has changed a field. */
export function createAdvanced(place, onChange) {
  const inputs = new Map(); // name -> {input, kind, line}
  let base = {};
  let unread = []; // groups that mean nothing to the chosen system

  function build(fields) {
    const groups = new Map();
    for (const field of fields) {
      const [group] = field.name.includes('.') ? field.name.split('.') : ['general'];
      if (!groups.has(group)) groups.set(group, node('fieldset', {name: group}, node('legend', {textContent: group})));
      groups.get(group).append(lineOf(field));
    }
    place.replaceChildren(...groups.values());
  }

  function lineOf(field) {
    const input = inputOf(field);
    const line = node('label', {className: 'train-line', title: plain(field.meaning)}, node('span', {textContent: field.name.split('.').pop()}), input, node('em', {textContent: plain(field.meaning)}), node('small', {hidden: true}), node('strong', {role: 'alert', hidden: true}));
    input.addEventListener('change', () => { mark(field.name); onChange(); });
    inputs.set(field.name, {input, kind: field.kind, line});
    return line;
  }

  const valueOf = name => read(inputs.get(name));

  function mark(name) {
    const {line} = inputs.get(name);
    const changed = valueOf(name) !== base[name];
    line.dataset.changed = changed ? 'yes' : 'no';
    const before = line.querySelector('small');
    before.hidden = !changed;
    before.textContent = `instead of ${worded(base[name])}`;
  }

  function put(name, value) {
    const {input, kind} = inputs.get(name);
    if (kind === 'switch') input.checked = value; else input.value = value;
    mark(name);
  }

  function rebase(values, groups) {
    [base, unread] = [values, groups];
    for (const name of inputs.keys()) put(name, values[name]);
    arrange();
  }

  function fill(changed) {
    for (const [name, value] of Object.entries(changed)) if (inputs.has(name)) put(name, value);
    arrange();
  }

  // What has been changed stays in sight, because it is sent.
  function arrange() {
    for (const group of place.children) group.hidden = unread.includes(group.name) && !group.querySelector('[data-changed="yes"]');
  }

  function changes() {
    return Object.fromEntries([...inputs.keys()].filter(name => valueOf(name) !== base[name]).map(name => [name, valueOf(name)]));
  }

  function complain(problems) {
    for (const [name, {line, input}] of inputs) {
      const said = line.querySelector('strong');
      said.textContent = problems[name] || '';
      said.hidden = !problems[name];
      input.setAttribute('aria-invalid', problems[name] ? 'true' : 'false');
    }
  }

  return {build, rebase, fill, changes, complain, has: name => inputs.has(name)};
}

function inputOf({kind, choices}) {
  if (kind === 'choice') return node('select', {}, ...choices.map(value => node('option', {value, textContent: value})));
  if (kind === 'switch') return node('input', {type: 'checkbox'});
  return node('input', {type: 'text', inputMode: kind === 'text' ? 'text' : 'decimal', autocomplete: 'off', spellcheck: false});
}

// A number that is none is sent as it was typed: the server says what is wrong with it, at the field.
function read({input, kind}) {
  if (kind === 'switch') return input.checked;
  if (kind !== 'integer' && kind !== 'number') return input.value;
  const text = input.value.trim();
  return text !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

const worded = value => (value === true ? 'on' : value === false ? 'off' : value);
const plain = text => text.replace(/[*`]/g, '').replace(/\s+/g, ' ');
