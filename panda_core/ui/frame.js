// What belongs to the page as a whole. Runs once, in the header.

// Light or dark: follows the system until the person chooses; the choice stays in this browser.
const key = 'panda-theme';
const apply = dark => document.body.classList.toggle('dark', dark);
const kept = localStorage.getItem(key);
if (kept) apply(kept === 'dark');
element.querySelector('.switch').addEventListener('click', () => {
  const dark = !document.body.classList.contains('dark');
  apply(dark);
  localStorage.setItem(key, dark ? 'dark' : 'light');
});

// A reload comes back to the tab that was open. Gradio builds the tabs later than the header, and a click that comes at once is lost.
const PLACE = 'panda-tab';
const AGAIN = 50; // ms
const tabs = () => [...document.querySelectorAll('#tabs [role=tab]')];
const chosen = tab => tab.ariaSelected === 'true';
let wanted = sessionStorage.getItem(PLACE);
addEventListener('pagehide', () => sessionStorage.setItem(PLACE, wanted || tabs().find(chosen)?.dataset.tabId || ''));
const arrived = () => { wanted = null; clearInterval(back); };
const back = setInterval(() => {
  const found = tabs().find(tab => tab.dataset.tabId === wanted);
  if (found && !chosen(found)) found.click();
  else if (found || !wanted || tabs().length) arrived();
}, AGAIN);
addEventListener('pointerdown', arrived, {once: true, capture: true}); // the person goes elsewhere

// Where a browser writes numbers with a point it drops a typed comma: 2,5 would silently become 25. Commas of thousands may go.
const THOUSANDS = /^-?\d{1,3}(,\d{3})+(\.\d*)?$/;
if ((0.5).toLocaleString().includes('.')) {
  document.addEventListener('beforeinput', event => {
    if (event.target.type !== 'number' || !event.data?.includes(',') || THOUSANDS.test(event.data)) return;
    event.preventDefault();
    document.execCommand('insertText', false, event.data.replaceAll(',', '.'));
  });
}
