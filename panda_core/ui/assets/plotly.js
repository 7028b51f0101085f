// plotly.js is 4.5 MB: fetched once, from this host, when there is something to draw.
import {node} from './text.js';

let bundle = null;

/** Promise of Plotly; of null where it cannot be loaded. */
export function loadPlotly() {
  bundle ??= new Promise(resolve => {
    const src = new URL('plotly.min.js', import.meta.url);
    document.head.append(node('script', {src, onload: () => resolve(window.Plotly), onerror: () => resolve(null)}));
  });
  return bundle;
}
