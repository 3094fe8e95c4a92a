// What can be set of a restoration: the task first, the rest folded away.
import { el } from './dom.js';

const choices = (...pairs) => (name, value) => el('select', { name }, ...pairs.map(([key, label]) => el('option', { value: key, selected: key === value }, label)));
const number = (attributes) => (name, value) => el('input', { type: 'number', name, value: value ?? '', ...attributes });
const SIZES = ['720p', '1080p', '1440p', '2160p', '2x'];
const size = () => el('input', {
  type: 'text', name: 'size', list: 'sizes', placeholder: 'as the network makes it',
  pattern: '[1-9][0-9]{0,4}(p|x|x[1-9][0-9]{0,4})', title: 'such as 1080p, 1920x1080 or 2x',
});
const check = (name, value) => el('input', { type: 'checkbox', name, checked: Boolean(value) });

// Name, label, how it is edited, what it is if it is left alone.
const FIELDS = [
  ['first', 'From frame', number({ min: '0', step: '1', placeholder: '0' }), null],
  ['end', 'To before frame', number({ min: '1', step: '1', placeholder: 'the end' }), null],
  ['device', 'Device', choices(['auto', 'a GPU if there is one'], ['cpu', 'CPU'], ['cuda', 'GPU']), 'auto'],
  ['dtype', 'Precision', choices(['auto', 'fast, if exact enough'], ['float32', 'float32'], ['bfloat16', 'bfloat16'], ['int8', 'int8 (not with torch)']), 'auto'],
  ['backend', 'Back end', choices(['torch', 'torch'], ['auto', 'the fastest installed'], ['openvino', 'OpenVINO (CPU)'], ['onnxruntime', 'ONNX Runtime (CPU)']), 'torch'],
  ['window', 'Window, frames', number({ min: '1', step: '1', placeholder: 'as memory allows' }), null],
  ['tile', 'Tile side, pixels', number({ min: '0', step: '4', placeholder: 'as memory allows' }), null],
  ['memory', 'Memory limit, MB', number({ min: '1', step: '1', placeholder: 'most of what is free' }), null],
  ['suffix', 'File format', choices(['.mp4', 'MP4'], ['.mkv', 'Matroska'], ['.mov', 'QuickTime'], ['.webm', 'WebM']), '.mp4'],
  ['codec', 'Codec', choices(['', 'as the input has it'], ['libx264', 'H.264'], ['libx265', 'HEVC'], ['libsvtav1', 'AV1'], ['ffv1', 'FFV1, lossless (Matroska)']), ''],
  ['crf', 'Quality (CRF, lower is better)', number({ min: '0', max: '255', step: 'any', placeholder: 'high' }), null],
  ['preset', 'Preset of the encoder', choices(['', 'its own'], ['veryfast', 'veryfast'], ['medium', 'medium'], ['slow', 'slow']), ''],
  ['size_change', 'Where the frame size changes', choices(['stop', 'stop'], ['scale', 'scale to the first size']), 'stop'],
  ['scene_cuts', 'Restore each scene by itself', check, true],
  ['tta', 'Average over flips and turns: better, 8 times slower', check, false],
  ['strict', 'Refuse damaged frames', check, false],
];

/** The form; `value()` is what the server takes. `changed` is called at each change. */
export function settingsForm(tasks, changed) {
  const labels = new Map(tasks.map((task, number) => [task, el('label', {},
    el('input', { type: 'radio', name: 'task', value: String(number), checked: number === 0 }),
    el('strong', {}, task.label), el('span', { class: 'soft' }, task.about))]));
  const model = el('select', { name: 'model' });
  const about = el('span', { class: 'soft' });
  const inputs = FIELDS.map(([name, label, edit, value]) => {
    const input = edit(name, value);
    return el('label', input.type === 'checkbox' ? { class: 'check' } : {}, ...(input.type === 'checkbox' ? [input, label] : [label, input]));
  });
  const form = el('form', { onchange: update, onsubmit: (event) => event.preventDefault() },
    el('fieldset', {}, el('legend', {}, 'What to do'), el('div', { class: 'tasks' }, ...labels.values()),
      el('label', { class: 'size' }, 'Size of the result', size(), el('datalist', { id: 'sizes' }, ...SIZES.map((value) => el('option', { value }))),
        el('span', { class: 'soft' }, '1080p, 1920x1080 or 2x: what the network makes is resized to it'))),
    el('details', {}, el('summary', {}, 'Network and other settings'),
      el('div', { class: 'settings' }, el('label', {}, 'Network', model, about), ...inputs)));
  const task = () => tasks[Number(form.elements.task.value)];

  function update(event) {
    if (!event || event.target.name === 'task') {
      model.replaceChildren(...task().models.map((entry) => el('option', { value: entry.name }, entry.name)));
    }
    about.textContent = task().models[model.selectedIndex].about;
    if (event) changed();
  }

  function value() {
    const set = { model: model.value };
    if (form.elements.size.value) set.size = form.elements.size.value;
    for (const [name, , , standard] of FIELDS) {
      const input = form.elements[name];
      const given = input.type === 'checkbox' ? input.checked : input.value;
      if (given === (standard ?? '')) continue;
      set[name] = input.type === 'number' ? Number(given) : given;
    }
    return set;
  }

  update();
  return { element: form, value, isValid: () => form.reportValidity() };
}
