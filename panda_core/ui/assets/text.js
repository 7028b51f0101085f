// Words and numbers, written as the Python panels write them.

/** A value in about four figures with a true minus sign; `sign` also writes a plus. */
export function number(value, {sign = false} = {}) {
  const size = Math.abs(value);
  const text = size.toFixed(size < 10 ? 3 : size < 100 ? 2 : 0);
  if (Number(text) === 0) return text;
  return (value < 0 ? '−' : sign ? '+' : '') + text;
}

/** A share of 1 as per cent, to one decimal below ten. */
export const percent = share => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

/** Where the page fetches a file that the server offers. */
export const served = path => new URL(`gradio_api/file=${path.split('/').map(encodeURIComponent).join('/')}`, document.baseURI);

/** A new element with properties, e.g. node('button', {type: 'button', textContent: 'Go'}, child). */
export function node(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
