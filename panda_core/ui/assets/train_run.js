// One training: what it says, its curves, the critic, pictures over time, load, log, and what can be done with it.

import {createCharts} from './train_charts.js';
import {bytes, duration, stateWord} from './train_words.js';
import {node, percent, served} from './text.js';

const ACTIONS = {
  created: ['cancel'], queued: ['cancel'], running: ['cancel'], stopped: ['resume', 'discard'], failed: ['resume', 'discard'],
  interrupted: ['resume', 'discard'], done: ['discard'], damaged: [],
};
const WORDS = {cancel: 'Stop', resume: 'Resume', discard: 'Discard'};
const TEMPLATE = `
  <header><h2></h2><p class="state" role="status"></p><div class="actions"></div></header>
  <p class="detail"></p>
  <div class="train-bar" role="progressbar" aria-label="Progress" hidden><i></i></div><p class="pace"></p>
  <section class="result" hidden></section>
  <div class="warnings"></div>
  <div class="charts">
    <figure><figcaption>Losses <label><input type="checkbox" class="log" checked> log</label></figcaption><div class="chart losses"></div></figure>
    <figure><figcaption>Critic’s logits on held-out images: C(x), C(x′)</figcaption><div class="chart critic"></div></figure>
  </div>
  <figure class="film" hidden><figcaption>Held-out images above their reconstructions, <output></output></figcaption><img alt="Held-out images above their reconstructions"><input type="range" min="0" value="0" aria-label="Step of the pictures"></figure>
  <p class="load"></p>
  <details class="log-text"><summary>Log</summary><pre></pre></details>
  <p class="command">The same in a terminal: <code></code></p>`;

/** {show(id), refresh()}; `ask(name, data)` calls the server, `act(what, id, extra)` does something to the run. */
export function createRunView(root, {ask, act}) {
  return new RunView(root, ask, act);
}

class RunView {
  constructor(root, ask, act) {
    Object.assign(this, {root, ask, act, id: '', known: 0, previews: [], follows: true, asking: false});
    root.innerHTML = TEMPLATE;
    this.find = selector => root.querySelector(selector);
    this.charts = createCharts(this.find('.losses'), this.find('.critic'));
    this.find('.log').addEventListener('change', event => this.charts.setLog(event.target.checked));
    this.find('.film input').addEventListener('input', event => { this.follows = Number(event.target.value) === this.previews.length - 1; this.showPreview(); });
  }

  show(id) {
    if (id === this.id) return;
    Object.assign(this, {id, known: 0, previews: [], follows: true, finished: null});
    this.charts.clear();
    for (const place of ['.result', '.film']) this.find(place).hidden = true;
    for (const place of ['.warnings', '.load', 'pre', '.detail', '.pace']) this.find(place).textContent = '';
  }

  async refresh() {
    if (!this.id || this.asking) return;
    this.asking = true;
    const id = this.id;
    const news = await this.ask('look', {id, known: this.known});
    this.asking = false;
    if (news && id === this.id) this.apply(news);
  }

  apply(news) {
    if (news.from === 0 && this.known > 0) { this.charts.clear(); this.previews = []; } // the run was made again
    this.known = news.known;
    this.head(news.run);
    if (!('steps' in news)) return;
    this.charts.add(news.steps, news.validations);
    this.previews.push(...news.previews);
    if (news.previews.length) this.film();
    if (news.resources) this.find('.load').textContent = load(news.resources);
    if (news.warnings.length) this.find('.warnings').replaceChildren(...news.warnings.map(textContent => node('p', {textContent})));
    put(this.find('pre'), news.log);
    put(this.find('.command code'), news.command);
    this.result(news);
  }

  head(run) {
    put(this.find('h2'), run.name);
    put(this.find('.state'), stateWord(run));
    this.root.dataset.state = run.state;
    put(this.find('.detail'), run.detail || '');
    const bar = this.find('.train-bar');
    bar.hidden = run.over || !run.total;
    bar.firstElementChild.style.width = `${run.total ? (100 * run.step) / run.total : 0}%`;
    const left = run.remaining ? ` · about ${duration(run.remaining)} left, then calibration` : '';
    put(this.find('.pace'), run.total && run.state !== 'done' ? `Step ${run.step.toLocaleString('en')} of ${run.total.toLocaleString('en')}${left}` : '');
    this.actions(run);
  }

  actions(run) {
    const wanted = ACTIONS[run.state] || [];
    const place = this.find('.actions');
    if (place.dataset.for === `${run.id} ${run.state}`) return;
    place.dataset.for = `${run.id} ${run.state}`;
    place.replaceChildren(...wanted.map(what => {
      const button = node('button', {type: 'button', textContent: WORDS[what], className: what});
      button.addEventListener('click', () => { button.disabled = true; this.act(what, run.id); });
      return button;
    }));
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

  /** What came out: the boundary, what was measured, the comparison, and the question whether to keep the model. */
  result(news) {
    for (const part of ['data', 'done', 'compared', 'accepted']) if (news[part]) this.finished = {...this.finished, [part]: news[part]};
    if (news.run.state !== 'done' || !this.finished?.done) { this.find('.result').hidden = true; return; }
    const said = [...sentences(this.finished, news.metrics)].map(textContent => node('p', {textContent}));
    const place = this.find('.result');
    place.hidden = false;
    place.replaceChildren(...said, this.finished.accepted ? node('p', {className: 'kept', textContent: `Kept as “${this.finished.accepted.model}”. Choose it in the list of models to inspect with it.` }) : this.keep(news.run));
  }

  keep(run) {
    const name = node('input', {type: 'text', value: run.name, maxLength: 60, ariaLabel: 'Name of the model'});
    const button = node('button', {type: 'submit', textContent: 'Keep this model'});
    const form = node('form', {className: 'keep'}, name, button);
    form.addEventListener('submit', event => { event.preventDefault(); button.disabled = true; Promise.resolve(this.act('accept', run.id, {name: name.value})).then(() => { button.disabled = false; }); });
    return form;
  }
}

function* sentences({data, done, compared}, metrics) {
  if (data) yield `Trained on ${data.train} images in ${duration(done.seconds)}; ${data.validation} held out to calibrate with. Boundary: ${done.boundary_kind}.`;
  for (const one of metrics) {
    const interval = one.auroc_ci.map(end => end.toFixed(3)).join(' and ');
    yield `Measured on ${one.data} (${one.normal} normal, ${one.anomalous} anomalous): AUROC ${one.auroc.toFixed(3)}, 95 % between ${interval}; colour statistics alone reach ${one.trivial_auroc?.toFixed(3) ?? '–'}.`;
    if (one.auroc_ci[0] <= 0.5) yield 'That is not better than guessing. More images, more steps or another preset may help; so may a closer camera.';
  }
  if (!compared) return;
  yield `Beside “${compared.parent}”, on the same ${compared.normal} held-out normal images: false alarms ${compared.parent_false_alarms} → ${compared.false_alarms}.`;
  if (compared.anomalous) yield `Missed of ${compared.anomalous} known anomalies: ${compared.parent_misses} → ${compared.misses}.`;
  yield 'These images have calibrated the new model, so they flatter it. Images that neither has seen tell more.';
}

function load({cpu, memory, memory_total: total, gpu}) {
  const share = `Processor ${Math.round(cpu)} % of one core · memory ${bytes(memory)} of ${bytes(total)} (${percent(memory / total)})`;
  return gpu ? `${share} · ${gpu.name}: ${bytes(gpu.memory)} of ${bytes(gpu.memory_total)}` : share;
}

function put(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
