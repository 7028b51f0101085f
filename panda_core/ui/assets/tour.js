// The tour: six steps, each beside the real thing it speaks of. A small card offers it once to a browser; nothing is covered or blocked.
import {node} from './text.js';

const KEY = 'panda-tour';
const OFFER_AFTER = 1200; // ms: the page itself comes first
const FOLLOW = 250; // ms between two looks at where the target is now
const GAP = 12; // px between the target and what is said of it
const EDGE = 8; // px kept free at the screen's edges
const tab = name => `#tabs [role=tab][data-tab-id="${name}"]`;
/** `at`: selectors, of which the first in sight is pointed at; `on`: the tab that has to be in front. */
const STEPS = [
  {at: ['#open'], on: 'inspect', title: 'Open an image',
    text: 'Press here, drop a file anywhere on the tab Inspect, or paste one. The examples show what to expect.'},
  {at: ['.viewer .views'], on: 'inspect', title: 'Look at it in several ways',
    text: 'What you gave, what the model would have expected, how far the two are apart, and what stands out. Wheel or two fingers zoom; dragging moves.'},
  {at: ['.judgement .thresholds', '.judgement'], on: 'inspect', title: 'Move the threshold',
    text: 'Drag a slider: verdict, mask and the rates of false alarms and misses follow at once.'},
  {at: ['.judgement .verdict', '.judgement'], on: 'inspect', title: 'Read the decision',
    text: 'The score against the boundary, and how rarely a normal image scores this high. Mark what the image really is: marks teach the model.'},
  {at: [tab('batch'), '#tabs .tab-wrapper'], title: 'Many images at once',
    text: 'A folder, many files or a zip file become a table of verdicts, with reports to send or print.'},
  {at: [tab('train'), '#tabs .tab-wrapper'], title: 'A model of your own',
    text: 'A folder of normal images is enough. The model learns from them what normal looks like. That was the tour: ? in the tab Inspect shows all keys, and this again.'},
];

/** See component.py. Starts by the offered card, or by the event "panda-tour" of the document. */
export function mount({element}) {
  const tour = new Tour(element.querySelector('.tour'));
  document.addEventListener('panda-tour', () => tour.start());
  if (!localStorage.getItem(KEY)) setTimeout(() => tour.offer(), OFFER_AFTER);
}

const button = (textContent, className, onclick) => node('button', {type: 'button', textContent, className, onclick});

class Tour {
  #root;
  #at = -1;
  #target = null;
  #opener = null;
  #follow = 0;
  #card = this.#createCard();
  #ring = node('div', {className: 'tour-ring', hidden: true});
  #count = node('p', {className: 'tour-count'});
  #title = node('h2', {id: 'tour-title'});
  #text = node('p', {id: 'tour-text'});
  #back = button('Back', 'tour-back', () => this.#go(this.#at - 1));
  #next = button('Next', 'tour-next', () => this.#go(this.#at + 1));
  #box = this.#createBox();
  #place = () => this.#follow && this.#put();
  #escape = event => { if (event.key === 'Escape' && !event.defaultPrevented) this.end(); };

  constructor(root) {
    this.#root = root;
    root.replaceChildren(this.#card, this.#ring, this.#box);
  }

  /** Show the card, unless the tour was taken meanwhile; who opens a file has found the way and is not asked again. */
  offer() {
    if (localStorage.getItem(KEY)) return;
    this.#card.hidden = false;
    const started = new AbortController();
    const working = event => {
      if (event.type === 'change' && event.target.type !== 'file') return;
      started.abort();
      this.#done();
    };
    for (const kind of ['drop', 'paste', 'change']) document.addEventListener(kind, working, {capture: true, signal: started.signal});
  }

  start() {
    this.#done();
    if (!this.#box.hidden) { this.#go(0); return; }
    this.#opener = document.activeElement;
    this.#box.hidden = this.#ring.hidden = false;
    this.#follow = setInterval(this.#place, FOLLOW);
    for (const kind of ['scroll', 'resize']) window.addEventListener(kind, this.#place, {capture: true, passive: true});
    document.addEventListener('keydown', this.#escape);
    this.#go(0);
    this.#next.focus({preventScroll: true});
  }

  end() {
    clearInterval(this.#follow);
    this.#follow = 0;
    for (const kind of ['scroll', 'resize']) window.removeEventListener(kind, this.#place, {capture: true});
    document.removeEventListener('keydown', this.#escape);
    const inside = this.#box.contains(document.activeElement);
    this.#box.hidden = this.#ring.hidden = true;
    // Only a focus that was ours is given back: the person may have gone to work already.
    if (inside && this.#opener?.isConnected) this.#opener.focus({preventScroll: true});
  }

  #createCard() {
    const card = node('aside', {className: 'tour-offer', hidden: true}, node('span', {textContent: 'New here?'}),
      button('Take the tour', 'tour-take', () => this.start()), button('×', 'tour-no', () => this.#done()));
    card.setAttribute('aria-label', 'Tour');
    card.lastChild.setAttribute('aria-label', 'No tour');
    return card;
  }

  #createBox() {
    const said = node('div', {}, this.#count, this.#title, this.#text);
    said.setAttribute('aria-live', 'polite');
    const box = node('div', {className: 'tour-box', hidden: true}, said,
      node('div', {className: 'tour-buttons'}, button('Skip', 'tour-skip', () => this.end()), this.#back, this.#next));
    for (const [name, value] of [['role', 'dialog'], ['aria-labelledby', 'tour-title'], ['aria-describedby', 'tour-text']]) box.setAttribute(name, value);
    box.addEventListener('keydown', event => this.#press(event));
    return box;
  }

  // The arrows step through images elsewhere: here they are the tour's.
  #press(event) {
    const run = {Escape: () => this.end(), ArrowRight: () => this.#go(this.#at + 1), ArrowLeft: () => this.#go(this.#at - 1)}[event.key];
    if (!run) return;
    event.preventDefault();
    event.stopPropagation();
    run();
  }

  #go(at) {
    if (at < 0) return;
    if (at >= STEPS.length) { this.end(); return; }
    this.#at = at;
    const {title, text, on} = STEPS[at];
    if (on) document.querySelector(`${tab(on)}[aria-selected="false"]`)?.click();
    this.#count.textContent = `${at + 1} of ${STEPS.length}`;
    this.#title.textContent = title;
    this.#text.textContent = text;
    this.#next.textContent = at === STEPS.length - 1 ? 'Done' : 'Next';
    if (at === 0 && document.activeElement === this.#back) this.#next.focus({preventScroll: true});
    this.#back.disabled = at === 0;
    this.#target = null;
    this.#put();
  }

  // What is pointed at may come late (a verdict) or move (a scrolled page).
  #put() {
    const target = STEPS[this.#at].at.map(selector => document.querySelector(selector)).find(element => element?.getClientRects().length);
    this.#ring.hidden = !target;
    if (!target) return;
    if (target !== this.#target) bringIntoSight(this.#target = target);
    const seen = target.getBoundingClientRect();
    Object.assign(this.#ring.style, {left: `${seen.left - 4}px`, top: `${seen.top - 4}px`, width: `${seen.width + 8}px`, height: `${seen.height + 8}px`});
    const {left, top} = beside(seen, this.#box.getBoundingClientRect());
    Object.assign(this.#box.style, {left: `${left}px`, top: `${top}px`});
  }

  #done() {
    localStorage.setItem(KEY, 'seen');
    this.#card.hidden = true;
  }
}

function bringIntoSight(target) {
  const {top, bottom} = target.getBoundingClientRect();
  if (top < 0 || bottom > window.innerHeight) target.scrollIntoView({block: 'center'});
}

// Below, above, right or left of the target, wherever the box fits first; else in the corner that covers least.
function beside(target, box) {
  const [width, height] = [document.documentElement.clientWidth, window.innerHeight];
  const within = (value, size, whole) => Math.max(EDGE, Math.min(value, whole - size - EDGE));
  const across = {left: within(target.left, box.width, width), top: within(target.top, box.height, height)};
  if (target.bottom + GAP + box.height <= height - EDGE) return {...across, top: target.bottom + GAP};
  if (target.top - GAP - box.height >= EDGE) return {...across, top: target.top - GAP - box.height};
  if (target.left - GAP - box.width >= EDGE) return {...across, left: target.left - GAP - box.width};
  if (target.right + GAP + box.width <= width - EDGE) return {...across, left: target.right + GAP};
  return {left: across.left, top: height - box.height - EDGE};
}
