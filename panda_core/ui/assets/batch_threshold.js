// A threshold as a slider and a number beside it. Its own value is exact; the slider's steps round.

const TICKS = 400; // steps of the slider, at least

/** The pair of inputs `[data-threshold=name]` in `root`. `onMove`: at every change; `onSet`: when it has come to rest. */
export function createThreshold(root, name, {onMove, onSet}) {
  const [slider, field] = root.querySelectorAll(`[data-threshold="${name}"]`);
  let range = null; // {own, low, high, step}
  let current = null; // null: its own

  const places = () => Math.min(6, Math.max(0, -Math.floor(Math.log10(range.step))));
  const value = () => (range ? current ?? range.own : null);

  function show() {
    const at = value();
    slider.value = at;
    if (document.activeElement !== field) field.value = at.toFixed(places());
    slider.setAttribute('aria-valuetext', field.value);
  }

  function widen(low, high) {
    range.low = Math.min(range.low, low);
    range.high = Math.max(range.high, high);
    range.step = 10 ** Math.floor(Math.log10(Math.max(range.high - range.low, 1e-6) / TICKS));
    slider.min = Math.floor(range.low / range.step) * range.step;
    slider.max = Math.ceil(range.high / range.step) * range.step;
    slider.step = range.step;
    field.step = 10 * range.step;
    show();
  }

  function set(text) {
    const given = Number(text);
    if (text === '' || !Number.isFinite(given) || !range) return;
    current = Math.abs(given - range.own) <= 0.501 * range.step ? null : given;
    show();
    onMove();
  }

  let rest = 0;
  const settle = () => { clearTimeout(rest); rest = setTimeout(() => { rest = 0; onSet(); }, 150); };
  slider.addEventListener('input', () => { set(slider.value); settle(); });
  field.addEventListener('input', () => { set(field.value); settle(); });
  field.addEventListener('blur', () => range && show());

  return {
    value,
    /** The value as the server takes it: null for its own. */
    moved: () => current,
    isOwn: () => current === null,
    busy: () => rest !== 0,
    /** Its own value, the first range, and where it stands: moved before the page was loaded anew. Later calls change nothing. */
    prepare({own, low, high, at = own}) {
      if (range) return;
      range = {own, low, high, step: 1};
      current = at === own ? null : at;
      widen(Math.min(low, own, at), Math.max(high, own, at));
      onMove();
    },
    /** Take these values into the range, where they are numbers. */
    stretch(values) {
      const known = values.filter(Number.isFinite);
      if (range && known.length) widen(Math.min(...known), Math.max(...known));
    },
    reset() { current = null; if (range) show(); },
    clear() { range = null; current = null; },
  };
}
