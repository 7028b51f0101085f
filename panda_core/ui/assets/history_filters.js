// What narrows the history: words, model, verdict, mark, days, and the order.

import {node} from './text.js';

const VERDICTS = [['', 'Any verdict'], ['anomalous', 'Anomalous'], ['normal', 'Normal']];
const MARKS = [
  ['', 'Marked or not'], ['none', 'Not marked'], ['any', 'Marked'], ['normal', 'Marked normal'], ['anomalous', 'Marked anomalous'],
  ['false alarm', 'False alarms'], ['miss', 'Misses'],
];
const ORDERS = [['newest', 'Newest first'], ['oldest', 'Oldest first'], ['highest', 'Highest score first'], ['lowest', 'Lowest score first'], ['name', 'By name']];
const DAY = 86_400_000;

/** {element, order, clear, query(), active(), setModels(names), focus()}; `order` and `clear` stand elsewhere; `onChange()` runs at every change. */
export function buildFilters(onChange) {
  const text = node('input', {
    type: 'search', className: 'history-text', placeholder: 'Search names, folders, notes…', ariaLabel: 'Search', maxLength: 200, autocomplete: 'off', spellcheck: false,
  });
  const [model, verdict, mark, order] = [choice('Model', [['', 'Any model']]), choice('Verdict', VERDICTS), choice('Mark', MARKS), choice('Order', ORDERS)];
  const [since, until] = [day('From day'), day('To day')];
  const days = node('span', {className: 'history-days'}, node('span', {textContent: 'Days'}), since, node('span', {textContent: '–'}), until);
  const [low, high] = [score('Score from'), score('Score to')];
  const scores = node('span', {className: 'history-scores'}, low, node('span', {textContent: '–'}), high);
  const clear = node('button', {type: 'button', textContent: 'Clear', hidden: true});
  const element = node('div', {className: 'history-filters', role: 'search'}, text, model, verdict, mark, scores, days);
  const narrowing = [text, model, verdict, mark, low, high, since, until];
  const active = () => narrowing.some(field => field.value !== '');
  const changed = () => { clear.hidden = !active(); onChange(); };
  for (const place of [element, order]) place.addEventListener('input', changed);
  clear.addEventListener('click', () => { for (const field of narrowing) field.value = ''; changed(); text.focus(); });
  return {
    element, order, clear, active, focus: () => text.focus(),
    setModels: names => setModels(model, names),
    query: () => ({
      text: text.value, model: model.value, verdict: verdict.value, mark: mark.value, order: order.value,
      low: amount(low), high: amount(high),
      since: midnight(since.value, 0), until: midnight(until.value, 1),
    }),
  };
}

function choice(label, options) {
  return node('select', {ariaLabel: label}, ...options.map(([value, textContent]) => node('option', {value, textContent})));
}

const day = label => node('input', {type: 'date', ariaLabel: label, title: label});

const score = label => node('input', {type: 'number', step: 'any', placeholder: label, ariaLabel: label, title: label});
const amount = input => (input.value === '' ? null : Number(input.value));

/** Names that have entries, and the chosen one even if its last entry has gone. */
function setModels(select, names) {
  const chosen = select.value;
  const wanted = chosen && !names.includes(chosen) ? [...names, chosen] : names;
  if (wanted.length === select.length - 1 && wanted.every((name, index) => select.options[index + 1].value === name)) return;
  while (select.length > 1) select.remove(1);
  for (const name of wanted) select.append(node('option', {value: name, textContent: name}));
  select.value = chosen;
}

/** Milliseconds of the day's beginning where the person is, `later` days on; null without a day. */
function midnight(text, later) {
  if (!text) return null;
  const time = new Date(`${text}T00:00`);
  if (later) time.setTime(new Date(time.getTime() + later * DAY + DAY / 4).setHours(0, 0, 0, 0)); // a day may have 23 or 25 hours
  return Number.isNaN(time.getTime()) ? null : time.getTime();
}
