// One training: what it says, its curves, the critic, pictures over time, load, log, and what can be done with it.

import {createCharts} from './train_charts.js';
import {drawResult} from './train_result.js';
import {bytes, duration, stateWord} from './train_words.js';
import {node, percent, served} from './text.js';

const ACTIONS = {
  // What does least harm stands last, where Stop was a moment before.
  created: ['cancel'], queued: ['cancel'], running: ['cancel'], stopped: ['discard', 'again', 'resume'], failed: ['discard', 'resume', 'again'],
  interrupted: ['discard', 'again', 'resume'], done: ['discard', 'again'], damaged: ['discard'],
};
const WORDS = {cancel: 'Stop', resume: 'Resume', again: 'Change and try again', discard: 'Discard'};
const TEMPLATE = `
  <header><h2></h2><p class="state" role="status"></p><div class="actions"></div></header>
  <p class="about"></p>
  <p class="detail"></p>
  <div class="train-bar" role="progressbar" aria-label="Progress" aria-valuemin="0" hidden><i></i></div><p class="pace"></p>
  <section class="result" hidden></section>
  <div class="warnings"></div>
  <div class="charts">
    <figure hidden><figcaption>Losses by step: faint lines are the raw values, bold lines the running mean <label><input type="checkbox" class="log" checked> log</label></figcaption><div class="chart losses"></div></figure>
    <figure hidden><figcaption title="The critic's logits: the median, the middle half and the middle 90 % of the images. If real and reconstructed overlap, the critic cannot tell them apart; if they are far apart, it sees through every reconstruction.">Critic’s logits on held-out images: median, middle half and middle 90 %</figcaption><div class="chart critic"></div></figure>
  </div>
  <figure class="film" hidden><figcaption>Held-out images above their reconstructions, <output></output></figcaption><img alt="Held-out images above their reconstructions"><input type="range" min="0" value="0" aria-label="Step of the pictures"></figure>
  <p class="load"></p>
  <details class="unused" hidden><summary></summary><ul></ul></details>
  <details class="log-text"><summary>Log</summary><pre tabindex="0"></pre></details>
  <p class="command">The same in a terminal: <code></code></p>`;

/** {show(id), request(), apply(shown)}; `ask(name, data)` calls the server, `act(what, id, extra)` does something to the run. */
export function createRunView(root, {ask, act}) {
  return new RunView(root, ask, act);
}

class RunView {
  constructor(root, ask, act) {
    Object.assign(this, {root, ask, act, id: '', retried: new Set()});
    root.innerHTML = TEMPLATE;
    this.find = selector => root.querySelector(selector);
    this.charts = createCharts(this.find('.losses'), this.find('.critic'));
    this.find('.log').addEventListener('change', event => this.charts.setLog(event.target.checked));
    this.find('.film input').addEventListener('input', event => { this.follows = Number(event.target.value) === this.previews.length - 1; this.showPreview(); });
    this.find('.film img').addEventListener('error', event => this.fetchAgain(event.target.src));
    this.forget();
  }

  show(id) {
    if (id === this.id) return;
    this.id = id;
    this.log = 0;
    this.forget();
    for (const place of ['.warnings', '.load', 'pre', '.detail', '.pace', '.about', 'h2', '.state']) this.find(place).textContent = '';
    this.find('.command').hidden = true;
  }

  /** Nothing is known of the events any more. */
  forget() {
    Object.assign(this, {known: 0, previews: [], problems: [], follows: true, facts: {}, drawn: '', changed: null});
    this.charts.clear();
    for (const place of ['.result', '.film', '.unused']) this.find(place).hidden = true;
  }

  /** What the server needs to know to tell what is new. */
  request() {
    return {id: this.id, known: this.known, log: this.log};
  }

  apply(shown) {
    if (shown.run.id !== this.id || (shown.from > 0 && shown.from !== this.known)) return; // an answer to an older question
    if (shown.from === 0 && this.known > 0) this.forget(); // the run was made again
    this.known = shown.known;
    if (shown.news) this.tell(shown.news);
    this.head(shown.run);
    if (shown.log) this.showLog(shown.log);
    this.result(shown.run);
  }

  tell(news) {
    this.charts.add(news.curves, news.critic);
    this.previews.push(...news.previews);
    if (news.previews.length) this.film();
    if (news.warnings.length) this.find('.warnings').replaceChildren(...news.warnings.map(textContent => node('p', {textContent})));
    if (news.resources) this.find('.load').textContent = load(news.resources);
    for (const part of ['data', 'done', 'compared', 'accepted']) if (news[part]) this.facts[part] = news[part];
    if (news.metrics.length) this.facts.metrics = news.metrics;
    put(this.find('.command code'), news.command);
    this.unused(news.problems);
  }

  head(run) {
    put(this.find('h2'), run.name);
    put(this.find('.state'), stateWord(run));
    this.root.dataset.state = run.state;
    this.find('.command').hidden = run.state === 'done' || !this.find('.command code').textContent;
    put(this.find('.detail'), run.detail || '');
    put(this.find('.about'), this.about(run));
    const bar = this.find('.train-bar');
    bar.hidden = run.over || !run.total;
    bar.setAttribute('aria-valuenow', run.step || 0);
    bar.setAttribute('aria-valuemax', run.total || 0);
    bar.firstElementChild.style.width = `${run.total ? (100 * run.step) / run.total : 0}%`;
    const left = run.remaining ? ` · about ${duration(run.remaining)} left, then calibration` : '';
    put(this.find('.pace'), run.total && run.state !== 'done' ? `Step ${run.step.toLocaleString('en')} of ${run.total.toLocaleString('en')}${left}` : '');
    this.actions(run);
  }

  about(run) {
    if (run.state === 'damaged') return '';
    const {data} = this.facts;
    const known = data?.anomalous ? `, ${data.anomalous} known anomalies` : '';
    const counts = data ? ` · ${data.train} images to train on, ${data.validation} held out${known}` : '';
    const from = run.parent ? `fine-tuned from “${run.parent}”` : `preset ${run.preset}`;
    return `${run.data} · ${from}, ${run.size} × ${run.size}${counts}`;
  }

  actions(run) {
    const wanted = run.stopping ? [] : ACTIONS[run.state] || [];
    const place = this.find('.actions');
    if (place.dataset.shown === `${run.id} ${wanted}`) return;
    place.dataset.shown = `${run.id} ${wanted}`;
    place.replaceChildren(...wanted.map(what => {
      const button = node('button', {type: 'button', textContent: WORDS[what], className: what});
      button.addEventListener('click', () => this.press(button, () => this.act(what, run.id)));
      return button;
    }));
  }

  async press(button, run) {
    button.disabled = true;
    await run();
    button.disabled = false;
  }

  unused(problems) {
    this.problems = [...new Map([...this.problems, ...problems].map(one => [one[0], one])).values()]; // a resumed training finds them again
    const place = this.find('.unused');
    place.hidden = !this.problems.length;
    if (!problems.length) return;
    put(place.querySelector('summary'), `Images not used (${this.problems.length})`);
    place.querySelector('ul').replaceChildren(...this.problems.map(([path, reason]) => node('li', {textContent: `${path}: ${reason}`})));
  }

  showLog({size, text}) {
    this.log = size;
    const place = this.find('pre');
    const atEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 4;
    put(place, text);
    if (atEnd) place.scrollTop = place.scrollHeight;
  }

  film() {
    const slider = this.find('.film input');
    slider.max = this.previews.length - 1;
    if (this.follows) slider.value = this.previews.length - 1;
    this.find('.film').hidden = false;
    this.showPreview();
  }

  showPreview() {
    const shown = this.previews[Number(this.find('.film input').value)];
    if (!shown?.path) return;
    put(this.find('.film output'), `step ${shown.step.toLocaleString('en')}`);
    const source = served(shown.path).href;
    if (this.find('.film img').src !== source) this.find('.film img').src = source;
  }

  /** The server clears pictures away that nobody has looked at for hours; asked from the beginning, it offers them anew. */
  fetchAgain(source) {
    if (this.retried.has(source)) return;
    this.retried.add(source);
    this.find('.film img').removeAttribute('src');
    this.forget();
  }

  /** What came of it; drawn again only when something is new, or a name that is being typed would be lost. */
  result(run) {
    const place = this.find('.result');
    place.hidden = run.state !== 'done' || !this.facts.done;
    const state = JSON.stringify([run.id, this.facts, this.changed]);
    if (place.hidden || this.drawn === state) return;
    this.drawn = state;
    const keep = name => this.act('accept', run.id, {name});
    drawResult(place, {...this.facts, changed: this.changed, name: run.name}, {keep: (button, name) => this.press(button, () => keep(name))});
    if (this.facts.compared && this.changed === null) this.compare(run);
  }

  async compare(run) {
    this.changed = [];
    const found = await this.ask('changed', {id: run.id});
    if (!found || run.id !== this.id) return;
    this.changed = found.images;
    this.result(run);
  }
}

function load({cpu, memory, memory_total: total, gpu}) {
  const share = `Processor ${Math.round(cpu)} % of one core · memory ${bytes(memory)} of ${bytes(total)} (${percent(memory / total)})`;
  return gpu ? `${share} · ${gpu.name}: ${bytes(gpu.memory)} of ${bytes(gpu.memory_total)}` : share;
}

function put(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
