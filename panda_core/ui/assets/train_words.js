// Words for states, times and sizes of a training.

const STATES = {
  created: '◌ Starting', queued: '◌ Waiting for its turn', running: '● Training', done: '✓ Done', stopped: '■ Stopped', failed: '✕ Failed',
  interrupted: '! Interrupted', damaged: '✕ Damaged',
};
const STAGES = {
  load: 'loading the networks', scan: 'reading the folder', pretext: 'pre-training', train: 'training', percept: 'perceptual evidence',
  calibrate: 'calibrating', evaluate: 'measuring', compare: 'comparing',
};
const TERMS = {
  rec: 'reconstruction', kl: 'KL', latent: 'latent', adv: 'adversarial', match: 'feature matching', 'held out.recon': 'error on held-out images',
  critic: 'critic', attention: 'critic’s attention', views: 'critic, crops and drops', L_C: 'critic as in the paper', C_x: 'mean C(x)', C_rec: 'mean C(x′)', accuracy: 'critic’s accuracy',
};

/** State of a run, with its stage while it is at work. */
export function stateWord(run) {
  if (run.stopping) return '◌ Stopping';
  const stage = run.state === 'running' && run.stage !== 'train' && STAGES[run.stage];
  return stage ? `● ${stage[0].toUpperCase()}${stage.slice(1)}` : STATES[run.state] || run.state;
}

/** What a curve is, from its name "phase.term". */
export const termWord = name => TERMS[name] || TERMS[name.split('.').pop()] || name;

/** 40 s, 12 min, 3 h 5 min. */
export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** How long ago a Unix time was, in words. */
export function ago(time) {
  const seconds = Math.max(0, Date.now() / 1000 - time);
  if (seconds < 60) return 'just now';
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} days ago`;
}

/** Bytes as MB or GB. */
export const bytes = value => (value < 1e9 ? `${Math.round(value / 1e6)} MB` : `${(value / 1e9).toFixed(1)} GB`);

/** Presets of our own, the first to take if one is not sure, and what each is. */
export const PRESETS = {
  best: 'The paper’s three errors, trained so that it stays stable, plus perceptual evidence. What to take if you are not sure.',
  balanced: 'The paper’s three errors only, trained so that it stays stable.',
  paper: 'The paper to the letter, with its 20,000 steps: days without a GPU.',
  tiny: 'Takes seconds at 32 × 32 pixels: for trying out the steps, not for inspecting.',
};

export const LOSSES = {pixel: 'Pixels', 'perceptual-general': 'Perceptual, ImageNet', 'perceptual-specific': 'Perceptual, trained on this folder'};

/** A sentence about a preset; `rivals`: presets of the systems PANDA is compared with, and their names. */
export function presetSaid(name, rivals) {
  return PRESETS[name] || `${rivals[name]}: one of the systems PANDA is compared with, as its paper has it, at a reduced budget.`;
}
