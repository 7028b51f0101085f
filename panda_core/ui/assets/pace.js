// How far a job is, in words.

/** A job as the server tells of it: what, done of total, rate, time left. */
export function pace({what, done, total, rate, remaining}) {
  if (!total) return `${what}…`;
  const parts = [`${what}: ${done.toLocaleString('en')} of ${total.toLocaleString('en')}`];
  if (done > 1) parts.push(`${rate < 10 ? rate.toFixed(1) : rate.toFixed(0)} a second`);
  if (remaining !== null && done > 1) parts.push(`${duration(remaining)} left`);
  return parts.join(' · ');
}

function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
