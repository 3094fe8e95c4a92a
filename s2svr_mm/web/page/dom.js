// Elements, and numbers as people read them.

/** Make an element: properties (`class`, `on...`, attributes) and children (elements, text). */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (name in made && typeof value !== 'string') made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function bytes(count) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  const power = Math.min(Math.floor(Math.log2(Math.max(count, 1)) / 10), units.length - 1);
  return `${Number((count / 2 ** (10 * power)).toPrecision(3))} ${units[power]}`;
}

/** Seconds as a length of time that is waited for. */
export function duration(seconds) {
  if (seconds < 100) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Seconds as a place in a video. */
export function clock(seconds) {
  const whole = Math.floor(seconds), two = (n) => String(n).padStart(2, '0');
  const hours = whole >= 3600 ? `${Math.floor(whole / 3600)}:` : '';
  return `${hours}${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}.${two(Math.floor((seconds % 1) * 100))}`;
}

/** A paragraph for what went wrong, read out when it is filled. */
export function alert() {
  const made = el('p', { class: 'alert', role: 'alert', hidden: true });
  return { element: made, say(text) { made.hidden = !text; made.textContent = text || ''; } };
}

/** What a video is, in a line. */
export function facts(info) {
  return [
    `${info.width}x${info.height}`, `${info.frames} frames`, duration(info.seconds),
    `${Number(info.rate.toFixed(2))} frames/s`, info.codec, bytes(info.bytes),
  ].join(' · ');
}

/** A button that asks again before it does something that can't be undone. */
export function sureButton(label, question, action) {
  const button = el('button', {
    type: 'button',
    onclick: () => {
      if (button.textContent === question) action();
      else button.textContent = question;
    },
    onblur: () => { button.textContent = label; },
  }, label);
  return button;
}
