// A restored video: played beside the input, saved, compared with the ground truth.
import { call } from './api.js';
import { chooser } from './chooser.js';
import { alert, bytes, duration, el, facts, sureButton } from './dom.js';
import { Player } from './stage.js';
import { stateOf } from './work.js';

export function doneView(job, offers) {
  return job.kind === 'report' ? reportView(job) : resultView(job, offers);
}

function removeButton(job, problem) {
  return sureButton('Remove', 'Remove it and its files?', () => call('DELETE', `/api/jobs/${job.id}`).then(() => { location.hash = '#/'; }, (error) => problem.say(error.message)));
}

function reportView(job) {
  const problem = alert();
  return {
    element: el('section', {}, el('h2', {}, job.name), el('p', {}, 'The network beside the ground truth and the baseline: figures, plots and crops.'),
      el('div', { class: 'row' }, el('a', { class: 'button main', href: `/jobs/${job.id}/report.html`, target: '_blank', rel: 'noopener' }, 'Open the report'),
        el('a', { class: 'button', href: `#/${job.of}` }, 'The restored video'), removeButton(job, problem)), problem.element),
    update() {},
  };
}

function resultView(job, offers) {
  const done = job.summary, problem = alert();
  const reports = el('ul', { id: 'reports' });
  const first = el('input', { type: 'number', min: '1', step: '1', value: String(Math.min(job.info.frames, 30)), id: 'report-frames' });
  const truth = chooser({
    label: 'The ground truth', limit: offers.max_upload,
    path: () => `/api/jobs/${job.id}/report?frames=${first.value}`,
    chosen: (made) => { location.hash = `#/${made.id}`; },
  });
  truth.classList.add('small');
  const again = el('button', {
    type: 'button',
    onclick: () => call('POST', `/api/jobs/${job.id}/copy`, {}).then((made) => { location.hash = `#/${made.id}`; }, (error) => problem.say(error.message)),
  }, 'Same video, other settings');
  const lines = [];
  if (done.frames) {
    lines.push(`${done.frames} frames, ${done.size.join('x')}, ${done.encoder}: ${duration(done.seconds)}`
      + `${done.scenes > 1 ? `, ${done.scenes} scenes` : ''}${done.rate ? `, ${done.rate} frames/s` : ''}, ${bytes(done.memory)} at most${done.resumed ? `; ${done.resumed} frames were there from before` : ''}`, done.settings);
  }
  lines.push(...(done.notes || []));
  let player = null;
  if (done.playable?.length) {
    player = new Player(job.info.rate);
    const [width, height] = done.size || [job.info.width, job.info.height];
    player.show(...done.playable.map((name) => `/jobs/${job.id}/${name}`), width, height);
  }
  return {
    element: el('section', {}, el('h2', {}, job.name), el('p', { class: 'soft' }, facts(job.info)),
      done.damage ? el('p', { class: 'alert' }, `Only the good part was restored. ${done.damage}`) : null,
      player?.element,
      el('div', { class: 'row' }, el('a', { class: 'button main', id: 'save', href: `/jobs/${job.id}/result`, download: job.result }, `Save ${job.result}`), again, removeButton(job, problem)),
      problem.element, ...lines.map((line) => el('p', { class: 'soft' }, line)),
      el('p', { class: 'soft' }, 'The same by hand:'), el('code', { class: 'command' }, job.command),
      el('details', { id: 'truth' }, el('summary', {}, 'Report against the ground truth'),
        el('p', {}, 'If you have the video as it should be, the network is compared with it and with the baseline, in figures, plots and crops.'),
        el('p', {}, el('label', {}, 'The first ', first, ' frames')), truth), reports),
    update(now, all) {
      reports.replaceChildren(...all.filter((other) => other.of === job.id).map((other) => el('li', {}, el('a', { href: `#/${other.id}` }, stateOf(other)))));
    },
  };
}
