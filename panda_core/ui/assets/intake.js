// Files that are dropped on the pictures or pasted anywhere on the page.

/** Call `take(files)` with the dropped or pasted files; `root` gets data-drop while a file hangs over `frame`. */
export function acceptFiles(root, frame, take) {
  frame.addEventListener('dragover', event => { event.preventDefault(); root.dataset.drop = 'yes'; });
  frame.addEventListener('dragleave', () => { delete root.dataset.drop; });
  frame.addEventListener('drop', event => {
    event.preventDefault();
    delete root.dataset.drop;
    offer([...event.dataTransfer.files]);
  });
  document.addEventListener('paste', event => {
    if (!root.isConnected || !root.getClientRects().length) return;
    const files = [...(event.clipboardData?.files || [])];
    if (files.length) event.preventDefault();
    offer(files);
  });
  function offer(files) { if (files.length) take(files); }
}
