// Files that a person drops on a tab or pastes: which of them are of use, those in folders too, and how they reach the server.

const AT_ONCE = 4; // uploads under way at the same time; a folder of thousands must not open thousands of connections
const ARCHIVE = '.zip';
let guarded = false;

/**
 * Take what is dropped anywhere on `zone`, folders with all that is in them. While files hang over it, `zone` carries `hint` as
 * data-drop, which intake.css shows. `kinds`: suffixes that are read, separated by spaces; `.zip` among them takes archives.
 * `take(files, left)`: what is of use, each {file, name} with its path in the dropped folder for a name, and how many were not.
 * `refuse(sentence)`: nothing was of use.
 */
export function acceptDrops(zone, {kinds, hint, take, refuse}) {
  guardPage();
  const over = event => hasFiles(event) && !document.querySelector('dialog[open]');
  zone.addEventListener('dragover', event => {
    if (!over(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
    zone.dataset.drop = hint;
  });
  zone.addEventListener('dragleave', event => { if (!zone.contains(event.relatedTarget)) delete zone.dataset.drop; });
  zone.addEventListener('drop', async event => {
    delete zone.dataset.drop;
    if (!over(event)) return;
    event.preventDefault();
    const {files, left, sentence} = sortFiles(await droppedFiles(event.dataTransfer), kinds.split(' '));
    if (files.length) take(files, left); else refuse(sentence);
  });
}

/** Take files that are pasted anywhere on the page while `root` is on the screen. */
export function acceptPaste(root, take) {
  document.addEventListener('paste', event => {
    if (!root.isConnected || !root.getClientRects().length) return;
    const files = [...(event.clipboardData?.files || [])];
    if (!files.length) return;
    event.preventDefault();
    take(files.map(file => ({file, name: file.name})));
  });
}

/** Store files, each {file, name}, by `upload`; resolves to their paths in the same order, or rejects with the first that failed. */
export async function uploadAll(files, upload, {onStep = () => {}, stopped = () => false} = {}) {
  const paths = new Array(files.length);
  let next = 0;
  let done = 0;
  const work = async () => {
    while (next < files.length && !stopped()) {
      const at = next++;
      paths[at] = (await upload(files[at].file)).path;
      onStep(++done);
    }
  };
  await Promise.all(Array.from({length: Math.min(AT_ONCE, files.length)}, work));
  return paths;
}

// Of dropped files and folders: what is of use, how many are not, and what to say if none is. A file that was dropped by itself may
// lack a suffix, as DICOM files often do; in a folder such files are anything.
function sortFiles(given, kinds) {
  const files = given.filter(({name, inside}) => kinds.includes(suffixOf(name)) || (!inside && !suffixOf(name)));
  return {files, left: given.length - files.length, sentence: files.length ? '' : refusal(given, kinds)};
}

function refusal(given, kinds) {
  if (!given.length) return 'There is no image in what you dropped.';
  const [{name}] = given;
  if (suffixOf(name) === ARCHIVE) return `${name} is an archive: drop it on the tab Batch.`;
  const what = given.length > 1 ? `None of these ${given.length} files is an image` : `${name} is not an image`;
  return `${what}${kinds.includes(ARCHIVE) ? ' or a zip file' : ''}. JPEG, PNG, WebP, BMP, TIFF, GIF and DICOM files are read.`;
}

const suffixOf = name => (/[^/]\.[^./]+$/.test(name) ? name.slice(name.lastIndexOf('.')).toLowerCase() : '');
const hasFiles = event => [...(event.dataTransfer?.types || [])].includes('Files');

// Entries must be asked for before the first await: after the event the browser has emptied the list.
async function droppedFiles(transfer) {
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map(file => ({file, name: file.name, inside: false}));
  return (await Promise.all(entries.map(entry => filesOf(entry, '')))).flat();
}

async function filesOf(entry, folder) {
  if (entry.isFile) {
    const file = await new Promise((done, fail) => entry.file(done, fail));
    return [{file, name: folder + entry.name, inside: Boolean(folder)}];
  }
  const parts = await Promise.all((await childrenOf(entry)).map(child => filesOf(child, `${folder}${entry.name}/`)));
  return parts.flat();
}

// Hidden files are nobody's images. A reader gives a hundred entries at a time, and none at the end.
async function childrenOf(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return found.sort((a, b) => a.name.localeCompare(b.name, undefined, {numeric: true}));
    found.push(...some.filter(({name}) => !name.startsWith('.')));
  }
}

// A file that misses its target would replace the page, and with it the person's work.
function guardPage() {
  if (guarded) return;
  guarded = true;
  for (const kind of ['dragover', 'drop']) {
    document.addEventListener(kind, event => {
      if (event.defaultPrevented || !hasFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = 'none';
    });
  }
}
