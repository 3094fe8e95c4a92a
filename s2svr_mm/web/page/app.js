// The list of videos, and the one that is looked at.
import { call } from './api.js';
import { chooser } from './chooser.js';
import { alert, el } from './dom.js';
import { doneView } from './done.js';
import { setupView } from './setup.js';
import { stateOf, workView } from './work.js';

const main = document.getElementById('main'), list = document.getElementById('jobs');
let offers = null, jobs = null, view = null, shown = '';

function newView() {
  return {
    element: el('section', {}, el('h2', {}, 'Choose a video'),
      chooser({ label: 'A video', limit: offers.max_upload, path: () => '/api/jobs', chosen: (job) => { location.hash = `#/${job.id}`; } })),
    update() {},
  };
}

function goneView() {
  return { element: el('section', {}, el('h2', {}, 'This video is not here any more'), el('p', {}, el('a', { href: '#/' }, 'Choose another'))), update() {} };
}

const VIEWS = { new: setupView, done: doneView };

/** Show what the address says, anew only if it is another job or at another stage. */
function showMain() {
  const id = location.hash.slice(2), job = jobs.find((other) => other.id === id);
  const stage = job ? (job.state in VIEWS ? job.state : 'work') : '';
  const wanted = `${id} ${stage}`;
  if (wanted !== shown) {
    const moved = shown.split(' ')[0] !== id;
    shown = wanted;
    if (job) view = (VIEWS[stage] || workView)(job, offers);
    else view = id ? goneView() : newView();
    main.replaceChildren(view.element);
    document.title = job ? `${job.name}: s2svr` : 's2svr: restore a video';
    if (moved && document.activeElement !== document.body) main.focus();
  }
  view.update(job, jobs);
}

function showList() {
  const id = location.hash.slice(2);
  const links = new Map([...list.children].map((item) => [item.dataset.id, item]));
  jobs.forEach((job, place) => {
    let item = links.get(job.id);
    if (!item) {
      item = el('li', { 'data-id': job.id }, el('a', { href: `#/${job.id}` }, el('strong', {}, job.name), el('span', { class: 'soft' }), el('progress', { max: 1, 'aria-label': 'Progress' })));
    }
    links.delete(job.id);
    if (list.children[place] !== item) list.insertBefore(item, list.children[place] || null);
    const [link] = item.children, [, state, bar] = link.children;
    state.textContent = stateOf(job);
    bar.hidden = job.state !== 'running';
    bar.value = job.total ? job.done / job.total : 0;
    if (job.id === id) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  });
  links.forEach((item) => item.remove());
  document.getElementById('no-jobs').hidden = jobs.length > 0;
}

function show() {
  if (!jobs || !offers) return;
  showMain();
  showList();
}

function listen() {
  const offline = document.getElementById('offline');
  const events = new EventSource('/api/events');
  events.onmessage = (event) => {
    offline.hidden = true;
    jobs = JSON.parse(event.data);
    show();
  };
  events.onerror = () => {
    offline.hidden = false;
    // An answer that is no stream ends it for good.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

addEventListener('hashchange', show);
// A video that misses its place would replace the page.
for (const name of ['dragover', 'drop']) addEventListener(name, (event) => event.preventDefault());
try {
  offers = await call('GET', '/api/offers');
  listen();
} catch (error) {
  const problem = alert();
  main.append(problem.element);
  problem.say(error.message);
}
