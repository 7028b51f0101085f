// The history: a search whose results are loaded as they are scrolled to, marks, deleting with undo.
// Every answer is either what was asked for or {problem}, a sentence for the person.

import {remember, remembered} from './memory.js';
import {createTable} from './table.js';
import {buildFilters} from './history_filters.js';
import {node, number} from './text.js';

const PATIENCE = 220; // ms after the last key before a search
const TO_CONFIRM = 5000; // ms in which a second click deletes everything
const REMEMBERED = 'panda-history-deleted'; // in the browser tab's memory: what was deleted last, to be brought back after a reload, too
const KEPT = 86_400_000; // ms for which the server keeps what was deleted
const FADING = 12_000; // ms that a word stays which nobody has to answer
const NEAR = 900; // px from the end at which more rows are loaded
const SILENT = 'The program does not answer. Is it still running? If so, reload the page.';

export function mount({element, trigger, server}) {
  const root = element.querySelector('.history');
  new History(root, trigger, server).begin();
}

class History {
  constructor(root, trigger, server) {
    Object.assign(this, {root, trigger, server, total: 0, next: 0, round: 0, loading: false, hidden: new Set()});
    this.filters = buildFilters(() => this.searchSoon());
    this.found = node('p', {className: 'history-found', role: 'status'});
    this.actions = this.buildActions();
    this.notice = node('p', {className: 'history-notice', role: 'status', hidden: true});
    const place = node('div', {className: 'history-rows'});
    const line = node('div', {className: 'history-line'}, this.found, this.filters.clear, this.filters.order, this.actions.element);
    root.replaceChildren(this.filters.element, line, this.notice, place, keyLine());
    this.table = createTable(place, {
      columns: columns(), rowHeight: 40, sortable: false, label: 'History', onSelect: rows => this.actions.enable(rows.length > 0),
    });
    this.place = place;
  }

  begin() {
    this.place.addEventListener('scroll', event => this.scrolled(event.target), {capture: true, passive: true});
    this.place.addEventListener('dblclick', event => { if (event.target.closest('.sheet-row')) this.open(); });
    this.root.addEventListener('keydown', event => this.press(event));
    // Looked at again, after an inspection or another tab: is there anything new?
    new IntersectionObserver(([seen]) => { if (seen.isIntersecting) this.refresh(); }).observe(this.root);
    const {ids, text, when} = JSON.parse(remembered(REMEMBERED) || '{}');
    if (ids && Date.now() - when < KEPT) this.offerUndo(ids, text);
  }

  buildActions() {
    const button = (text, run, title) => node('button', {type: 'button', textContent: text, onclick: run, title});
    const chosen = [
      button('Open', () => this.open(), 'Enter, or a double click'),
      button('Normal', () => this.mark('normal'), 'N; again takes the mark back'),
      button('Anomalous', () => this.mark('anomalous'), 'A; again takes the mark back'),
      button('Delete', () => this.remove(), 'Delete'),
    ];
    const all = button('Delete all', () => this.removeFound(), 'Everything that the search finds; Undo brings the last that was deleted back');
    const enable = some => { for (const one of chosen) one.disabled = !some; };
    enable(false);
    return {element: node('div', {className: 'history-actions', role: 'toolbar', ariaLabel: 'Selected entry'}, ...chosen, all), enable, all};
  }

  /** One question to the program; null, and a message, if it has no good answer. */
  async ask(verb, rest = {}) {
    let answer;
    try { answer = await this.server.ask({verb, ...rest}); } catch { answer = {problem: SILENT}; }
    if (answer.problem) this.say(answer.problem, {bad: true});
    return answer.problem ? null : answer;
  }

  searchSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.search(), PATIENCE);
  }

  async search() {
    const round = ++this.round; // an answer that was overtaken by a later question is thrown away
    this.loading = true;
    const answer = await this.ask('search', {...this.filters.query(), offset: 0});
    if (round !== this.round) return;
    this.loading = false;
    if (answer) this.show(answer);
  }

  show(answer) {
    const kept = this.table.selected()?.id;
    this.hidden.clear();
    this.table.setFilter(null);
    this.table.setEmpty(this.filters.active() ? 'Nothing fits the search. Clear a filter, or search for less.'
      : 'Nothing here yet. Images you inspect are kept here until you delete them or their time is up; examples are not.');
    this.table.setRows(answer.rows);
    const at = answer.rows.findIndex(row => row.id === kept);
    if (at >= 0) this.table.select(at);
    this.filters.setModels(answer.models);
    this.took(answer);
  }

  took(answer) {
    this.total = answer.total;
    this.next = answer.offset + answer.rows.length;
    this.count();
  }

  count() {
    clearTimeout(this.sure);
    this.sure = null;
    const words = this.total === 1 ? 'entry' : 'entries';
    this.found.textContent = `${this.total.toLocaleString('en')} ${words}${this.filters.active() ? ' found' : ''}`;
    this.actions.all.textContent = this.total ? `Delete all ${this.total.toLocaleString('en')}` : 'Delete all';
    this.actions.all.disabled = this.total === 0;
    this.root.dataset.total = this.total;
  }

  scrolled(scroller) {
    if (scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR) this.more();
  }

  async more() {
    if (this.loading || this.next >= this.total) return;
    this.loading = true;
    const round = this.round;
    const answer = await this.ask('search', {...this.filters.query(), offset: this.next});
    if (round !== this.round) return;
    this.loading = false;
    if (!answer) return;
    this.table.updateRows(answer.rows);
    this.took(answer);
    if (!answer.rows.length) this.total = this.next; // entries have gone meanwhile; do not ask for them for ever
  }

  /** Search again only if the newest state differs, so that a return to the tab keeps place and selection. */
  async refresh() {
    if (this.loading) return;
    const answer = await this.ask('search', {...this.filters.query(), offset: 0});
    if (!answer || this.loading) return;
    const first = this.table.visibleRows()[0];
    if (!this.root.dataset.total || answer.total !== this.total || first?.id !== answer.rows[0]?.id) this.show(answer);
    else this.table.updateRows(answer.rows);
    this.trigger('input');
  }

  open() {
    const row = this.table.selected();
    if (row) this.trigger('select', {id: row.id, order: this.table.visibleRows().map(one => one.id)});
  }

  /** Mark the selected entry; the same mark again takes it back. */
  async mark(mark) {
    const row = this.table.selected();
    if (!row) return;
    const wanted = row.mark === mark ? null : mark;
    this.table.updateRows([{id: row.id, mark: wanted}]);
    const answer = await this.ask('mark', {ids: [row.id], mark: wanted});
    this.table.updateRows(answer ? answer.rows : [{id: row.id, mark: row.mark}]);
    if (!answer) return;
    this.say(wanted ? `${row.name} is marked ${wanted}.` : `${row.name} is not marked any more.`);
    this.trigger('input');
  }

  async remove() {
    const row = this.table.selected();
    if (!row) return;
    await this.erase('delete', {ids: [row.id]}, () => `${row.name} is deleted.`, this.table.visibleRows().indexOf(row));
  }

  /** Asks again: one click on everything is easily the wrong one, and only the last deletion can be undone. */
  async removeFound() {
    if (!this.sure) {
      this.actions.all.textContent = `Really delete ${this.total.toLocaleString('en')}?`;
      this.sure = setTimeout(() => this.count(), TO_CONFIRM);
      return;
    }
    await this.erase('delete_found', this.filters.query(), ids => `${ids.length.toLocaleString('en')} entries are deleted.`, 0);
  }

  /** One at a time: a second click, or a key held down, would take the first one's Undo away. */
  async erase(verb, rest, words, at) {
    if (this.erasing) return;
    this.erasing = true;
    const answer = await this.ask(verb, rest);
    this.erasing = false;
    if (answer?.ids.length) this.removed(answer.ids, words(answer.ids), at); else this.count();
  }

  removed(ids, text, at) {
    for (const id of ids) this.hidden.add(id);
    this.table.setFilter(row => !this.hidden.has(row.id));
    this.total -= ids.length;
    this.next = Math.max(0, this.next - ids.length);
    this.count();
    if (this.total) this.table.select(at);
    this.table.focus();
    remember(REMEMBERED, JSON.stringify({ids, text, when: Date.now()}));
    this.offerUndo(ids, text);
    this.trigger('input');
    this.more();
  }

  offerUndo(ids, text) {
    this.undo = ids;
    this.say(text, {undo: true});
  }

  async restore() {
    const ids = this.undo;
    this.undo = null;
    const answer = ids && await this.ask('restore', {ids});
    if (!answer) { this.undo ??= ids; return; }
    if (!this.undo) remember(REMEMBERED, ''); // nothing was deleted meanwhile
    if (answer.count) this.say('Back again.'); else this.say('Nothing came back: it is here already, or gone for good, as after a day.', {bad: true});
    await this.search();
    this.table.focus();
    this.trigger('input');
  }

  say(text, {bad = false, undo = false} = {}) {
    this.notice.replaceChildren(node('span', {textContent: text}));
    if (undo) this.notice.append(node('button', {type: 'button', textContent: 'Undo', onclick: () => this.restore()}));
    this.notice.dataset.tone = bad ? 'bad' : 'good';
    this.notice.setAttribute('role', bad ? 'alert' : 'status');
    this.notice.hidden = false;
    clearTimeout(this.fading);
    if (!bad && !undo) this.fading = setTimeout(() => { this.notice.hidden = true; }, FADING);
  }

  press(event) {
    if (event.altKey || event.target.closest('input, select')) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.repeat && key === 'Delete') return; // only the last deletion can be undone
    const undo = (event.ctrlKey || event.metaKey) && key === 'z';
    if ((event.ctrlKey || event.metaKey) && !undo) return;
    const runs = {n: () => this.mark('normal'), a: () => this.mark('anomalous'), Delete: () => this.remove(), '/': () => this.filters.focus()};
    if (event.target.closest('.sheet')) runs.Enter = () => this.open();
    const run = undo ? () => this.restore() : runs[key];
    if (!run) return;
    event.preventDefault();
    event.stopPropagation(); // N and A mean the open image elsewhere
    run();
  }
}

function columns() {
  return [
    {key: 'thumbnail', label: '', kind: 'image', width: 48},
    {key: 'time', label: 'Time', kind: 'text', width: 136, format: showTime, wide: true},
    {key: 'name', label: 'Image', kind: 'text', width: 'minmax(76px, 1fr)'},
    {key: 'model', label: 'Model', kind: 'text', width: 'minmax(70px, .4fr)', wide: true},
    {key: 'score', label: 'Score', kind: 'number', width: 64, format: value => number(value)},
    {key: 'boundary', label: 'Boundary', kind: 'number', width: 76, format: value => number(value), wide: true},
    {key: 'verdict', label: 'Verdict', kind: 'badge', width: 96},
    {key: 'mark', label: 'Mark', kind: 'badge', width: 104, format: showMark},
  ];
}

const two = value => String(value).padStart(2, '0');

function showTime(milliseconds) {
  const time = new Date(milliseconds);
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** A mark that contradicts the verdict is named for what it says of the model. */
function showMark(mark, row) {
  if (!mark) return '';
  if (mark === row.verdict) return {text: mark, tone: mark};
  return {text: mark === 'normal' ? 'false alarm' : 'missed', tone: 'unreadable'};
}

function keyLine() {
  const keys = [['↑ ↓', 'move'], ['Enter', 'opens'], ['N A', 'mark, again takes it back'], ['Del', 'deletes'], ['Ctrl Z', 'brings back'], ['/', 'search']];
  const parts = keys.flatMap(([key, meaning]) => [node('kbd', {textContent: key}), node('span', {textContent: ` ${meaning}  `})]);
  return node('p', {className: 'history-keys'}, ...parts);
}
