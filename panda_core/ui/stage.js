// The stage: shows the pictures or a notice, switches views (buttons, keys 1-6), takes dropped and pasted files.
// Text reaches the page by textContent only: file names are whatever a stranger called his file.
const stage = element.querySelector('.stage');
const frame = element.querySelector('.frame');
const notice = element.querySelector('.notice');
const buttons = [...element.querySelectorAll('.views button')];
const inputImage = element.querySelector('[data-name="input"] img');

const setText = (selector, text) => {
  const node = notice.querySelector(selector);
  node.textContent = text || '';
  node.hidden = !text;
};

function showNotice({title, text, command, kind}) {
  setText('h2', title);
  setText('p', text);
  setText('code', command);
  stage.dataset.state = kind;
}

function showPictures(pictures) {
  for (const [name, file] of Object.entries(pictures)) {
    const image = element.querySelector(`[data-name="${name}"] img`);
    if (image.getAttribute('src') !== file.url) image.src = file.url;
    image.hidden = false;
  }
  stage.dataset.state = 'ready';
}

// Wide pictures are stacked, tall ones stand side by side: four of either leave little room in two by two.
function setShape() {
  const ratio = inputImage.naturalWidth / inputImage.naturalHeight;
  stage.dataset.shape = ratio > 2 ? 'wide' : ratio < 0.5 ? 'tall' : 'square';
}

function show() {
  const value = props.value;
  if (!value) return;
  if (value.pictures) {
    showPictures(value.pictures);
  } else if (value.notice) {
    for (const image of element.querySelectorAll('img')) { image.hidden = true; image.removeAttribute('src'); }
    showNotice(value.notice);
  }
}

function choose(view) {
  stage.dataset.view = view;
  for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset.view === view));
}

async function take(file) {
  if (!file) return;
  stage.dataset.state = 'busy';
  showNotice({title: 'Inspecting…', text: file.name, kind: 'busy'});
  try {
    const stored = await upload(file);
    trigger('upload', {path: stored.path});
  } catch (error) {
    showNotice({title: `${file.name} did not arrive`, text: `${error.message || error} Try again.`, kind: 'error'});
  }
}

inputImage.addEventListener('load', setShape);
for (const button of buttons) button.addEventListener('click', () => choose(button.dataset.view));
for (const figure of element.querySelectorAll('figure')) {
  figure.addEventListener('dblclick', () => choose(stage.dataset.view === 'all' ? figure.dataset.name : 'all'));
}
frame.addEventListener('dragover', event => { event.preventDefault(); stage.dataset.drop = 'yes'; });
frame.addEventListener('dragleave', () => { delete stage.dataset.drop; });
frame.addEventListener('drop', event => {
  event.preventDefault();
  delete stage.dataset.drop;
  take(event.dataTransfer.files[0]);
});
document.addEventListener('paste', event => {
  const file = [...(event.clipboardData?.files || [])][0];
  if (file && element.isConnected) { event.preventDefault(); take(file); }
});
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select, [role=listbox]')) return;
  const button = buttons[Number(event.key) - 1];
  if (button && element.isConnected) choose(button.dataset.view);
});
watch('value', show);
show();
