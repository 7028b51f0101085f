// What somebody waits for before a training: the bar that shows how far a check, a measurement or an upload is.

/** {place(button), show(now), send(files), halt()}; `find` looks into the form, `upload(file)` brings one file to the server. */
export function createProgress(find, upload) {
  let stop = () => {};

  /** In sight of who pressed the button: the form may be longer than the screen. */
  function place(by) {
    find(by === '.train-check' ? '.train-source' : '.train-time').after(find('.train-progress'));
  }

  /** `now`: {what, done, total}, or null when it is over. */
  function show(now) {
    const bar = find('.train-progress');
    bar.hidden = !now;
    find('.train-estimate').disabled = Boolean(now); // it would take the place of a check
    if (!now) return;
    bar.querySelector('.train-bar').dataset.known = now.total ? 'yes' : 'no';
    bar.querySelector('i').style.width = now.total ? `${(100 * now.done) / now.total}%` : '30%';
    bar.querySelector('span').textContent = now.total ? `${now.what}: ${now.done} of ${now.total}` : `${now.what}…`;
  }

  /** Upload files; their places on the server, or null where it was halted. Fails as `upload` does. */
  async function send(files) {
    const halted = new Promise(done => { stop = () => done(null); });
    const kept = [];
    try {
      for (const file of files) {
        show({what: 'Uploading', total: files.length, done: kept.length});
        const sent = await Promise.race([upload(file), halted]);
        if (!sent) return null;
        kept.push(sent.path);
      }
      return kept;
    } finally {
      stop = () => {};
      show(null);
    }
  }

  return {place, show, send, halt: () => stop()};
}
