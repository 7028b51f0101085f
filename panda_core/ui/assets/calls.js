/** What to say where no answer came. */
export const SILENT = 'The server does not answer. Is the program still running?';

/** What to say where an upload has failed: what the client throws does not say that the file was too large. */
export const UPLOAD_FAILED = 'The upload failed. A file may have 200 MB: of larger ones, type the path on this computer. Otherwise try again.';

/**
 * The functions of the server, each of which throws where no answer came. Gradio's client (6.31) gives undefined then, as if a
 * function had nothing to say.
 */
export function insist(server) {
  return new Proxy(server, {
    get: (functions, name) => async data => {
      const answer = await functions[name](data);
      if (answer === undefined) throw new Error('No answer');
      return answer;
    },
  });
}
