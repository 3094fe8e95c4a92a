// Choosing a video: dropped, from the browser's dialogue, or from a folder of the server's machine.
import { call, upload } from './api.js';
import { alert, bytes, el } from './dom.js';

/**
 * A place to drop a video on.
 *
 * `path()` gives the address that takes the video; `chosen(answer)` is called with its answer.
 */
export function chooser({ label, path, chosen, limit }) {
  const problem = alert();
  const progress = el('progress', { max: 1, value: 0, 'aria-label': 'Upload' });
  const state = el('p', { class: 'soft', role: 'status' });
  const sending = el('div', { hidden: true }, state, progress);
  const input = el('input', { type: 'file', accept: 'video/*,image/gif,image/webp,image/apng,.mkv,.ts,.m2ts,.mts,.mxf,.y4m,.vob,.flv', 'aria-label': label, onchange: () => send(input.files) });
  const drop = el('div', { class: 'drop', ondragover: (event) => { event.preventDefault(); drop.classList.add('over'); }, ondragleave: () => drop.classList.remove('over'), ondrop: dropped },
    el('p', {}, `${label}: drop it here, or`), input,
    el('p', { class: 'soft' }, `up to ${bytes(limit)}; it goes to the server's folder and nowhere else`));
  const list = el('ul', { class: 'files' });
  const place = el('p', { class: 'soft' });
  const files = el('details', { ontoggle: () => files.open && browse('') }, el('summary', {}, 'Pick a file on the machine of the server'), place, list);

  async function during(work) {
    problem.say('');
    input.disabled = true;
    try {
      chosen(await work());
    } catch (error) {
      problem.say(error.message);
    } finally {
      input.disabled = false;
      input.value = '';
      sending.hidden = true;
    }
  }

  function dropped(event) {
    event.preventDefault();
    drop.classList.remove('over');
    if (!input.disabled) send(event.dataTransfer.files);
  }

  function send(chosenFiles) {
    if (!chosenFiles.length) return;
    if (chosenFiles.length > 1) { problem.say('One video at a time, please.'); return; }
    const file = chosenFiles[0];
    if (file.size > limit) { problem.say(`${file.name} has ${bytes(file.size)}, more than the ${bytes(limit)} that are taken: pick it where it is.`); return; }
    sending.hidden = false;
    const show = (part) => {
      progress.value = part;
      state.textContent = part < 1 ? `Uploading ${file.name}` : `Reading ${file.name}`;
    };
    show(0);
    const [address, query] = path().split('?');
    during(() => upload(`${address}?name=${encodeURIComponent(file.name)}${query ? `&${query}` : ''}`, file, show));
  }

  async function browse(folder) {
    let found;
    try {
      found = await call('GET', `/api/files?folder=${encodeURIComponent(folder)}`);
    } catch (error) {
      problem.say(error.message);
      return;
    }
    const join = (name) => (found.folder ? `${found.folder}/${name}` : name);
    place.textContent = found.folder ? `Folder: ${found.folder}` : 'The folder that s2svr web was started with:';
    const entry = (name, size, action) => el('li', {}, el('button', { type: 'button', onclick: action }, name, el('span', { class: 'soft' }, size)));
    const go = (to) => () => browse(to).then(() => list.querySelector('button')?.focus());
    list.replaceChildren(
      ...(found.folder ? [entry('..', 'up', go(found.folder.split('/').slice(0, -1).join('/')))] : []),
      ...found.folders.map((name) => entry(`${name}/`, 'folder', go(join(name)))),
      ...found.files.map((file) => entry(file.name, bytes(file.size), () => during(() => call('POST', path(), { path: join(file.name) })))),
    );
    if (!list.children.length) list.append(el('li', { class: 'soft' }, 'No videos here.'));
  }

  return el('div', { class: 'chooser' }, drop, sending, problem.element, files);
}
