// A video that waits, is being restored, was stopped or has failed.
import { call } from './api.js';
import { alert, duration, el, facts, sureButton } from './dom.js';

/** The state of a job in a few words. */
export function stateOf(job) {
  const what = job.kind === 'report' ? 'report' : 'restoring';
  const part = job.total ? `${job.done} of ${job.total} frames` : '';
  switch (job.state) {
    case 'new': return 'not started';
    case 'queued': return `${what}: waits for its turn`;
    case 'running':
      if (!job.total) return `${what}: starting`;
      return job.done >= job.total ? `${what}: finishing` : `${what}: ${part}`;
    case 'stopped': return part ? `stopped at ${part}` : 'stopped';
    case 'failed': return 'failed';
    default: return `${job.kind === 'report' ? 'report' : 'done'}: ${job.settings.model}`;
  }
}

export function workView(job) {
  const address = `/api/jobs/${job.id}`;
  const problem = alert();
  const failure = el('p', { class: 'alert', id: 'failure', hidden: true });
  const state = el('strong', { id: 'state', role: 'status' });
  const speed = el('span', { class: 'soft', id: 'speed' });
  const bar = el('progress', { max: 1, 'aria-label': 'Progress' });
  const latest = el('img', { class: 'latest', alt: 'The latest restored frame' });
  const picture = el('figure', { hidden: true }, latest, el('figcaption', {}, 'The latest restored frame'));
  const act = (path) => () => call('POST', `${address}/${path}`, {}).catch((error) => problem.say(error.message));
  const stop = el('button', { type: 'button', id: 'stop', onclick: act('stop') }, 'Stop');
  const resume = el('button', { type: 'button', id: 'resume', class: 'main', onclick: act('start') }, 'Resume');
  const remove = sureButton('Remove', 'Remove it and what is done?', () => call('DELETE', address).then(() => { location.hash = '#/'; }, (error) => problem.say(error.message)));
  remove.id = 'remove';
  const command = el('code', { class: 'command' });

  function update(now) {
    const works = now.state === 'queued' || now.state === 'running';
    const said = stateOf(now);
    if (state.textContent !== said) state.textContent = said;
    bar.value = now.total ? now.done / now.total : 0;
    bar.hidden = now.state === 'failed';
    const told = [];
    if (now.state === 'running' && now.rate) told.push(`${now.rate.toPrecision(2)} frames/s`);
    if (now.state === 'running' && now.left !== null && now.done < now.total) told.push(`about ${duration(now.left)} left`);
    speed.textContent = told.join(', ');
    failure.hidden = !now.message;
    failure.textContent = now.message;
    const address = `/jobs/${now.id}/latest.jpg?${now.latest}`;
    picture.hidden = !now.latest;
    if (now.latest && latest.getAttribute('src') !== address) latest.src = address;
    stop.hidden = !works;
    resume.hidden = remove.hidden = works;
    resume.textContent = now.state === 'failed' ? 'Try again' : 'Resume';
    command.textContent = now.command || '';
    command.hidden = !now.command;
  }

  update(job);
  return {
    element: el('section', {}, el('h2', {}, job.name), el('p', { class: 'soft' }, facts(job.info)),
      el('p', {}, state, ' ', speed), bar, failure, problem.element, el('div', { class: 'row' }, stop, resume, remove),
      picture, el('p', { class: 'soft' }, 'What is done is kept: after a stop, or when this page or the server is closed, it resumes where it was. The same by hand:'), command),
    update,
  };
}
