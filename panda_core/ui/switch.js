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
