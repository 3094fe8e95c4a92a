// A video that is not restored yet: what to do with it, and a preview of that.
import { call } from './api.js';
import { alert, bytes, clock, duration, el, facts, sureButton } from './dom.js';
import { settingsForm } from './settings.js';
import { Stage } from './stage.js';

export function setupView(job, offers) {
  const { info } = job, address = `/api/jobs/${job.id}`;
  const form = settingsForm(offers.tasks, stale);
  const problem = alert();
  const stage = new Stage('img');
  const last = Math.max(info.frames - offers.preview, 0);
  const moment = el('input', { type: 'range', min: '0', max: String(last), value: String(Math.floor(last / 2)), 'aria-label': 'Moment of the preview', oninput: tell });
  const where = el('span', { class: 'soft' });
  const look = el('button', { type: 'button', id: 'preview', onclick: preview }, 'Preview');
  const start = el('button', { type: 'button', id: 'start', class: 'main', onclick: begin }, 'Start');
  const estimate = el('p', { id: 'estimate', role: 'status' }, 'A preview restores five frames of this moment and estimates the time and memory for the whole video.');
  const numbers = el('div', { class: 'row frames', role: 'group', 'aria-label': 'Frame of the preview' });
  const shown = el('div', { hidden: true }, stage.element, numbers);
  let pictures = 0, seen = null;

  function tell() {
    const frame = Number(moment.value);
    where.textContent = `frame ${frame}, ${clock(frame / (info.rate || 25))}`;
    moment.setAttribute('aria-valuetext', where.textContent);
    stale();
  }

  function stale() {
    shown.classList.add('stale');
    estimate.classList.add('stale');
  }

  async function during(button, label, work) {
    if (!form.isValid()) return;
    problem.say('');
    const before = button.textContent;
    look.disabled = start.disabled = true;
    button.textContent = label;
    try {
      await work();
    } catch (error) {
      problem.say(error.message);
    } finally {
      look.disabled = start.disabled = false;
      button.textContent = before;
    }
  }

  function preview() {
    during(look, 'Restoring five frames ...', async () => {
      seen = await call('POST', `${address}/preview`, { settings: form.value(), at: Number(moment.value) });
      pictures += 1;
      numbers.replaceChildren('Frame', ...Array.from({ length: seen.count }, (_, number) => el('button', { type: 'button', onclick: () => pick(number) }, String(seen.first + number))));
      pick(Math.floor(seen.count / 2));
      const memory = seen.device_memory ? `${bytes(seen.device_memory)} on the GPU and ${bytes(seen.memory)} of main memory` : bytes(seen.memory);
      estimate.textContent = `Estimate for the whole: ${duration(seen.seconds)}, ${memory}, result ${seen.size.join('x')} (${seen.settings}). In the video each frame also sees those before and after these five.`;
      shown.hidden = false;
      shown.classList.remove('stale');
      estimate.classList.remove('stale');
    });
  }

  function pick(number) {
    const version = `${Date.now()}-${pictures}`;
    stage.show(`/jobs/${job.id}/input-${number}.png?${version}`, `/jobs/${job.id}/result-${number}.png?${version}`, ...seen.size);
    [...numbers.children].forEach((button, index) => button.setAttribute('aria-pressed', index === number));
  }

  function begin() {
    during(start, 'Starting ...', () => call('POST', `${address}/start`, { settings: form.value() }));
  }

  tell();
  estimate.classList.remove('stale');
  return {
    element: el('section', {}, el('h2', {}, job.name), el('p', { class: 'soft' }, facts(info)),
      ...info.notes.map((note) => el('p', { class: 'alert' }, note)), form.element,
      el('h3', {}, 'Preview'), el('div', { class: 'row' }, moment, where, look), problem.element, estimate, shown,
      el('div', { class: 'row' }, start,
        sureButton('Remove', 'Remove this video?', () => call('DELETE', address).then(() => { location.hash = '#/'; }, (error) => problem.say(error.message))))),
    update() {},
  };
}
