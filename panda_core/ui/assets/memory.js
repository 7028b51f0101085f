// Work that outlasts a reload: the browser tab remembers its name, the server keeps it while somebody looks at it.

const WANTED = 240_000; // ms between signs that something is still looked at; without one the server keeps it for an hour

/** The text kept under this name, or '': some browsers keep nothing. */
export function remembered(name) {
  try { return sessionStorage.getItem(name) || ''; } catch { return ''; }
}

export function remember(name, text) {
  try { sessionStorage.setItem(name, text); } catch { forget(name); } // too long: what was kept before is not this
}

function forget(name) {
  try { sessionStorage.removeItem(name); } catch { /* a reload begins anew */ }
}

/** Call `look` now and then; its answer does not matter. */
export function keepAlive(look) {
  setInterval(() => Promise.resolve(look()).catch(() => {}), WANTED);
}
