// A table for thousands of rows, of which only those in sight are in the document. Text from files goes in by textContent only.

import {node} from './text.js';

const MISSING = '–';
const SPARE = 6; // rows kept in the document above and below those in sight
const NARROW = 560; // px of width below which the columns called wide are dropped
const COLLATOR = new Intl.Collator(undefined, {numeric: true, sensitivity: 'base'});
const WIDTHS = {text: 'minmax(90px, 1fr)', number: '88px', badge: '108px'};
let tables = 0;

/**
 * A virtual table with ARIA grid roles in `container`, whose height it fills.
 *
 * `columns`: [{key, label, kind, width, format, sortBy, sortable, wide}]. `kind`: 'text' | 'number' | 'image' | 'badge'.
 *   `width`: CSS length or track. `format(value, row)`: the text; of a badge its text or {text, tone}, where the tone is
 *   'normal', 'anomalous', 'unreadable' or 'plain'. `sortBy(row)`: what to compare. `wide`: dropped on a narrow screen.
 * `rowHeight`: px. `onOpen(row, index)`: Enter or a click. `onSelect(rows)`: the selected row in a list, or an empty list.
 * `sortable`: false for a fixed order. `sort`: {key, descending} to begin with. `label`: name for screen readers.
 * `empty`: text in place of rows; `setEmpty` changes it. `refresh()`: what `format` or the filter say of the rows has changed. Rows are plain objects with a unique `id`; an index counts the rows as shown.
 */
export function createTable(container, options) {
  const table = new Table(container, options);
  return {
    setRows: rows => table.setRows(rows),
    updateRows: rows => table.updateRows(rows),
    setFilter: keep => table.setFilter(keep),
    select: index => table.select(index),
    selected: () => table.byId.get(table.chosen) || null,
    refresh: () => table.refresh(),
    setEmpty: text => table.setEmpty(text),
    rows: () => [...table.byId.values()],
    visibleRows: () => table.order(),
    focus: () => table.scroller.focus({preventScroll: true}),
  };
}

class Table {
  constructor(container, {columns, rowHeight = 34, onOpen, onSelect, sortable = true, sort = null, label = '', empty = 'Nothing here.'}) {
    Object.assign(this, {columns, rowHeight, onOpen, onSelect, sort, name: `sheet-${tables++}`});
    this.byId = new Map();
    this.shown = new Map(); // row id -> its element
    this.keep = null;
    this.chosen = null; // id of the selected row
    this.place = -1; // where it stood, should it vanish
    this.build(container, label, sortable, empty);
    this.listen();
    this.paintHead();
  }

  build(container, label, sortable, empty) {
    this.body = node('div', {className: 'sheet-body', role: 'rowgroup'});
    this.head = node('div', {className: 'sheet-head', role: 'row', ariaRowIndex: '1'});
    this.note = node('p', {className: 'sheet-empty', textContent: empty});
    this.heads = this.columns.map(column => this.buildHead(column, sortable));
    this.head.append(...this.heads);
    this.scroller = node('div', {className: 'sheet', role: 'grid', tabIndex: 0, ariaLabel: label}, this.head, this.body, this.note);
    this.scroller.ariaColCount = String(this.columns.length);
    this.scroller.style.setProperty('--sheet-row', `${this.rowHeight}px`);
    this.scroller.style.setProperty('--sheet-columns', tracks(this.columns, this.rowHeight));
    this.scroller.style.setProperty('--sheet-columns-narrow', tracks(this.columns.filter(column => !column.wide), this.rowHeight));
    container.replaceChildren(this.scroller);
  }

  buildHead(column, sortable) {
    const cell = node('div', {className: 'sheet-cell', role: 'columnheader'});
    cell.dataset.kind = column.kind;
    if (column.wide) cell.dataset.wide = '';
    if (!sortable || column.sortable === false || column.kind === 'image') {
      cell.append(node('span', {textContent: column.label}));
      return cell;
    }
    const button = node('button', {type: 'button', textContent: column.label});
    button.addEventListener('click', () => this.sortBy(column));
    cell.append(button);
    return cell;
  }

  listen() {
    this.scroller.addEventListener('scroll', () => this.schedule(), {passive: true});
    this.scroller.addEventListener('keydown', event => this.press(event));
    this.body.addEventListener('click', event => this.click(event));
    new ResizeObserver(() => this.fit()).observe(this.scroller);
  }

  setRows(rows) {
    this.byId = new Map(rows.map(row => [row.id, row]));
    for (const line of this.shown.values()) line.remove();
    this.shown.clear();
    this.scroller.scrollTop = 0;
    this.choose(null, -1);
    this.invalidate();
  }

  /** By script, as Gradio drops container queries from style sheets. */
  fit() {
    this.scroller.dataset.narrow = this.scroller.clientWidth < NARROW ? 'yes' : 'no';
    this.schedule();
  }

  /** Fields of known rows change, unknown rows join at the end. */
  updateRows(rows) {
    for (const row of rows) this.byId.set(row.id, {...this.byId.get(row.id), ...row});
    this.invalidate();
  }

  setFilter(keep) {
    this.keep = keep;
    this.invalidate();
    if (this.chosen !== null && !this.order().some(row => row.id === this.chosen)) this.choose(null, this.place);
  }

  setEmpty(text) {
    this.note.textContent = text;
  }

  /** The rows as shown: filtered and sorted, computed when somebody asks. */
  order() {
    if (this.ordered) return this.ordered;
    const rows = [...this.byId.values()];
    const kept = this.keep ? rows.filter(this.keep) : rows;
    return (this.ordered = this.sort ? this.sorted(kept) : kept);
  }

  sorted(rows) {
    const {key, descending} = this.sort;
    const column = this.columns.find(one => one.key === key);
    const keyed = rows.map(row => [column.sortBy ? column.sortBy(row) : row[key], row]);
    const known = keyed.filter(([value]) => !isMissing(value)).sort(([a], [b]) => (descending ? compare(b, a) : compare(a, b)));
    return [...known, ...keyed.filter(([value]) => isMissing(value))].map(([, row]) => row); // what is missing comes last either way
  }

  /** The first click on numbers puts the largest on top; the second turns it; the third brings the order of arrival back. */
  sortBy(column) {
    const first = column.kind === 'number';
    const turned = this.sort?.key === column.key;
    this.sort = !turned ? {key: column.key, descending: first} : this.sort.descending === first ? {key: column.key, descending: !first} : null;
    this.scroller.scrollTop = 0;
    this.paintHead();
    this.invalidate();
  }

  paintHead() {
    this.columns.forEach((column, index) => {
      const used = this.sort?.key === column.key;
      this.heads[index].ariaSort = used ? (this.sort.descending ? 'descending' : 'ascending') : 'none';
    });
  }

  select(index, {focus = false} = {}) {
    const rows = this.order();
    if (!rows.length) return;
    const at = Math.min(Math.max(index, 0), rows.length - 1);
    this.choose(rows[at].id, at);
    this.reveal(at);
    if (focus) this.scroller.focus({preventScroll: true});
    this.schedule();
  }

  choose(id, at) {
    this.place = at;
    if (id === this.chosen) return;
    this.chosen = id;
    this.onSelect?.(id === null ? [] : [this.byId.get(id)]);
  }

  reveal(index) {
    const top = index * this.rowHeight;
    const room = this.room();
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top + this.rowHeight > this.scroller.scrollTop + room) this.scroller.scrollTop = top + this.rowHeight - room;
  }

  room() {
    return this.scroller.clientHeight - this.head.offsetHeight;
  }

  /** Where the selected row stands now; rows may have joined, or it may be filtered away. */
  position() {
    const at = this.chosen === null ? -1 : this.order().findIndex(row => row.id === this.chosen);
    if (at >= 0) this.place = at;
    return at;
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('button, input')) return;
    const page = Math.max(1, Math.floor(this.room() / this.rowHeight) - 1);
    const moves = {ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity};
    if (event.key in moves) this.select(this.stepped(moves[event.key]));
    else if (event.key === 'Enter' && this.position() >= 0) this.onOpen?.(this.byId.get(this.chosen), this.position());
    else return;
    event.preventDefault();
  }

  /** The next place; from a row that was filtered away, downwards is the row that took its place. */
  stepped(by) {
    const at = this.position();
    if (at >= 0) return at + by;
    return this.place < 0 && by > 0 && by !== Infinity ? 0 : by === 1 ? this.place : this.place + by;
  }

  click(event) {
    const line = event.target.closest('.sheet-row');
    if (!line || !getSelection().isCollapsed) return; // somebody marks text to copy it
    const index = Number(line.dataset.index);
    this.select(index, {focus: true});
    this.onOpen?.(this.order()[index], index);
  }

  refresh() {
    for (const line of this.shown.values()) line.row = null;
    this.invalidate();
  }

  invalidate() {
    this.ordered = null;
    this.schedule();
  }

  schedule() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.paint(); });
  }

  paint() {
    const rows = this.order();
    this.scroller.ariaRowCount = String(rows.length + 1);
    this.body.style.height = `${rows.length * this.rowHeight}px`;
    this.note.hidden = rows.length > 0;
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / this.rowHeight) - SPARE);
    const last = Math.min(rows.length, Math.ceil((this.scroller.scrollTop + this.room()) / this.rowHeight) + SPARE);
    this.paintRows(rows, first, last);
    const active = this.shown.get(this.chosen);
    if (active) this.scroller.setAttribute('aria-activedescendant', active.id);
    else this.scroller.removeAttribute('aria-activedescendant');
  }

  /** Lines of rows that left are used again for rows that came. */
  paintRows(rows, first, last) {
    const wanted = new Set(rows.slice(first, last).map(row => row.id));
    const free = [];
    for (const [id, line] of this.shown) {
      if (!wanted.has(id)) { free.push(line); this.shown.delete(id); }
    }
    for (let index = first; index < last; index++) {
      const row = rows[index];
      if (!this.shown.has(row.id)) this.shown.set(row.id, free.pop() || this.buildLine());
      this.paintLine(this.shown.get(row.id), row, index);
    }
    for (const line of free) line.remove();
  }

  buildLine() {
    const line = node('div', {className: 'sheet-row', role: 'row', id: `${this.name}-${this.lines = (this.lines || 0) + 1}`});
    line.append(...this.columns.map(column => {
      const cell = node('div', {className: 'sheet-cell', role: 'gridcell'});
      cell.dataset.kind = column.kind;
      if (column.wide) cell.dataset.wide = '';
      if (column.kind === 'image') cell.append(node('img', {alt: '', decoding: 'async', draggable: false}));
      if (column.kind === 'badge') cell.append(node('span', {className: 'sheet-badge'}));
      return cell;
    }));
    this.body.append(line);
    return line;
  }

  paintLine(line, row, index) {
    line.style.transform = `translateY(${index * this.rowHeight}px)`;
    line.dataset.index = index;
    line.ariaRowIndex = String(index + 2);
    line.ariaSelected = String(row.id === this.chosen);
    if (line.row === row) return;
    line.row = row;
    this.columns.forEach((column, at) => PAINT[column.kind](line.children[at], shownValue(column, row)));
  }
}

const PAINT = {
  text: (cell, text) => { setText(cell, text); cell.title = cell.textContent; },
  number: setText,
  image: paintImage,
  badge: paintBadge,
};

function setText(element, text) {
  const shown = isMissing(text) ? MISSING : String(text);
  if (element.textContent !== shown) element.textContent = shown;
}

function paintImage(cell, url) {
  const image = cell.firstElementChild;
  image.hidden = isMissing(url);
  if (image.getAttribute('src') === url) return;
  image.removeAttribute('src'); // or the picture of another row stays until this one has come
  if (url) image.src = url;
}

function paintBadge(cell, value) {
  const badge = typeof value === 'object' && value ? value : {text: value, tone: value};
  setText(cell.firstElementChild, badge.text);
  cell.firstElementChild.dataset.tone = isMissing(badge.text) ? 'none' : badge.tone || 'plain';
}

const isMissing = value => value === null || value === undefined || value === '' || Number.isNaN(value);
const shownValue = (column, row) => (column.format ? column.format(row[column.key], row) : row[column.key]);
const compare = (a, b) => (typeof a === 'number' && typeof b === 'number' ? a - b : COLLATOR.compare(String(a), String(b)));

function tracks(columns, rowHeight) {
  return columns.map(({kind, width}) => (typeof width === 'number' ? `${width}px` : width || WIDTHS[kind] || `${rowHeight + 8}px`)).join(' ');
}
