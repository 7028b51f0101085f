// "Advanced": an input for every field of the configuration, made from its description; only what was changed is sent.

import {node} from './text.js';

/** {build(fields), rebase(values), changes(), complain({name: text}), has(name)}; `onChange()` after a person has changed a field. */
export function createAdvanced(place, onChange) {
  const inputs = new Map(); // name -> {input, kind, line}
  let base = {};

  function build(fields) {
    const groups = new Map();
    for (const field of fields) {
      const [group] = field.name.includes('.') ? field.name.split('.') : ['general'];
      if (!groups.has(group)) groups.set(group, node('fieldset', {}, node('legend', {textContent: group})));
      groups.get(group).append(lineOf(field));
    }
    place.replaceChildren(...groups.values());
  }

  function lineOf(field) {
    const input = inputOf(field);
    const line = node('label', {className: 'train-line', title: plain(field.meaning)}, node('span', {textContent: field.name.split('.').pop()}), input, node('em', {textContent: plain(field.meaning)}), node('strong', {role: 'alert', hidden: true}));
    input.addEventListener('change', () => { mark(field.name); onChange(); });
    inputs.set(field.name, {input, kind: field.kind, line});
    return line;
  }

  const valueOf = name => read(inputs.get(name));
  const mark = name => { inputs.get(name).line.dataset.changed = valueOf(name) === base[name] ? 'no' : 'yes'; };

  function rebase(values) {
    base = values;
    for (const [name, {input, kind}] of inputs) {
      if (kind === 'switch') input.checked = values[name]; else input.value = values[name];
      mark(name);
    }
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

  return {build, rebase, changes, complain, has: name => inputs.has(name)};
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

const plain = text => text.replace(/[*`]/g, '').replace(/\s+/g, ' ');
