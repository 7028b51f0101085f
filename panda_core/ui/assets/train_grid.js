// "Grid search" in the form: up to three fields, each with the values to try; every combination becomes a training.

import {node} from './text.js';

const ROWS = 3;
const OFTEN = ['loss.adversarial_weight', 'loss.latent_weight', 'loss.reconstruction', 'train.generator_lr', 'train.critic_lr', 'data.size'];
const EXPLAINED = 'Choose what to vary and write the values to try, separated by commas. Each combination is a training of its own, one after the other; they are compared on images held out from training, never on test images.';

/** {build(fields), rebase(values, unread), rows(), complain({problems, count}), clear()}; `onChange()` after a person has changed a row. */
export function createGrid(place, onChange) {
  let base = {};
  let fields = [];
  const total = node('p', {className: 'train-total', role: 'status'});
  const rows = Array.from({length: ROWS}, (_, at) => createRow(at, changed));
  place.replaceChildren(node('p', {className: 'train-hint', textContent: EXPLAINED}), ...rows.map(row => row.line), total);

  function changed() {
    arrange();
    onChange();
  }

  // One empty row is enough: the next appears when it is in use.
  function arrange() {
    rows.forEach((row, at) => {
      row.line.hidden = at > 0 && !rows[at - 1].select.value && !row.select.value;
      row.show(base[row.select.value]);
    });
  }

  function complain({problems, count}) {
    for (const row of rows) row.complain(problems[row.select.value] || '');
    total.textContent = problems[''] || (count ? `${count} ${count === 1 ? 'training' : 'trainings'}, one after the other.` : '');
    total.dataset.wrong = problems[''] ? 'yes' : 'no';
  }

  function clear() {
    for (const row of rows) row.clear();
    complain({problems: {}, count: 0});
    arrange();
  }

  arrange();
  return {
    build: all => { fields = all; },
    rebase: (values, unread) => {
      base = values;
      const read = fields.filter(field => !unread.includes(field.name.split('.')[0]));
      for (const row of rows) row.build(read);
      arrange();
    },
    rows: () => rows.filter(row => row.select.value).map(row => ({field: row.select.value, values: row.input.value})),
    complain, clear,
  };
}

function createRow(at, onChange) {
  const select = node('select', {ariaLabel: `Field ${at + 1} to vary`});
  const input = node('input', {type: 'text', autocomplete: 'off', spellcheck: false, ariaLabel: `Values of field ${at + 1}`});
  const [now, said] = [node('small'), node('strong', {role: 'alert', hidden: true})];
  const line = node('div', {className: 'train-grid-row'}, select, input, now, said);
  select.addEventListener('change', onChange);
  input.addEventListener('change', onChange);
  let choices = {};

  function build(fields) {
    const before = select.value;
    const groups = new Map([['often tried', fields.filter(field => OFTEN.includes(field.name))]]);
    for (const field of fields) {
      const group = field.name.includes('.') ? field.name.split('.')[0] : 'general';
      groups.set(group, [...(groups.get(group) || []), field]);
    }
    choices = Object.fromEntries(fields.map(field => [field.name, field.kind === 'switch' ? ['true', 'false'] : field.choices]));
    select.replaceChildren(node('option', {value: '', textContent: 'Nothing'}), ...[...groups].map(([label, some]) =>
      node('optgroup', {label}, ...some.map(field => node('option', {value: field.name, textContent: field.name})))));
    select.value = before;
  }

  function show(value) {
    const name = select.value;
    input.disabled = !name;
    input.placeholder = !name ? '' : choices[name]?.length ? choices[name].join(', ') : typeof value === 'number' ? example(value) : '';
    now.textContent = name ? `otherwise ${value}` : '';
  }

  function complain(text) {
    said.textContent = text;
    said.hidden = !text;
    input.setAttribute('aria-invalid', text ? 'true' : 'false');
  }

  return {line, select, input, build, show, complain, clear: () => { select.value = ''; input.value = ''; }};
}

// Half, the same, double: a first look at whether a field matters.
const example = value => `e.g. ${value ? [value / 2, value, value * 2].join(', ') : '0, 1'}`;
