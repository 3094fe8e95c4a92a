// Input and result in one frame, with a border between them to move, and a part of both at 100 %.
import { clock, el } from './dom.js';

const STEP = 8;

/** Two pictures or videos over one another, of one moment. */
export class Stage {
  /** `tag` is 'img' or 'video'. */
  constructor(tag) {
    this.input = el(tag, { alt: 'Input' });
    this.result = el(tag, { alt: 'Result' });
    this.line = el('div', { class: 'line' });
    this.frame = el('div', {
      class: 'stage', tabindex: '0', role: 'group',
      'aria-label': 'Input on the left, result on the right; arrow keys move the enlarged part',
      onpointerdown: (event) => { this.frame.setPointerCapture(event.pointerId); this.cutAt(event); },
      onpointermove: (event) => { this.lookAt(event); if (event.buttons) this.cutAt(event); },
      onkeydown: (event) => this.key(event),
    }, this.input, this.result, this.line, el('span', { class: 'tag left' }, 'Input'), el('span', { class: 'tag right' }, 'Result'));
    this.slider = el('input', { type: 'range', min: '0', max: '100', step: '0.5', value: '50', 'aria-label': 'Border between input and result', oninput: () => this.cut() });
    this.loupes = ['Input', 'Result'].map((name) => ({ name, canvas: el('canvas', { role: 'img', 'aria-label': `${name}, a part at 100 %` }) }));
    this.point = [0.5, 0.5];
    this.element = el('div', {}, this.frame, this.slider,
      el('div', { class: 'loupes' }, ...this.loupes.map(({ name, canvas }) => el('figure', {}, canvas,
        el('figcaption', {}, name === 'Input' ? 'Input, enlarged to the result\'s size' : 'Result, 100 %: a pixel is a pixel')))));
    for (const media of [this.input, this.result]) {
      for (const event of ['load', 'loadeddata', 'seeked']) media.addEventListener(event, () => this.look());
    }
    new ResizeObserver(() => this.look()).observe(this.frame);
    this.cut();
  }

  /** Set what is shown, and its shape. */
  show(input, result, width, height) {
    this.frame.style.aspectRatio = `${width} / ${height}`;
    // Tall frames must leave room for what is below.
    this.frame.style.maxWidth = `calc(70vh * ${width / height})`;
    this.input.src = input;
    this.result.src = result;
  }

  cutAt(event) {
    const box = this.frame.getBoundingClientRect();
    this.slider.value = (100 * (event.clientX - box.left)) / box.width;
    this.cut();
  }

  cut() {
    this.result.style.clipPath = `inset(0 0 0 ${this.slider.value}%)`;
    this.line.style.left = `${this.slider.value}%`;
  }

  lookAt(event) {
    const box = this.frame.getBoundingClientRect();
    const within = (value) => Math.min(Math.max(value, 0), 1);
    this.point = [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
    this.look();
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (!(event.key in moves) || event.target !== this.frame) return;
    event.preventDefault();
    const [width] = sizeOf(this.result), by = (STEP * (event.shiftKey ? 8 : 1)) / Math.max(width, 1);
    this.point = this.point.map((value, axis) => Math.min(Math.max(value + by * moves[event.key][axis], 0), 1));
    this.look();
  }

  /** Draw the part around the point, one pixel of the result for one of the screen. */
  look() {
    const [width, height] = sizeOf(this.result);
    if (!width) return;
    const sources = [this.input, this.result];
    this.loupes.forEach(({ canvas }, number) => {
      const wide = Math.round(canvas.clientWidth * devicePixelRatio), high = Math.round(canvas.clientHeight * devicePixelRatio);
      if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
      const source = sources[number], [own, ownHeight] = sizeOf(source);
      if (!own || !wide) return;
      const corner = (size, seen, at) => Math.round(Math.min(Math.max(at * size - seen / 2, 0), Math.max(size - seen, 0)));
      const x = corner(width, wide, this.point[0]), y = corner(height, high, this.point[1]);
      const across = own / width, down = ownHeight / height, seenWide = Math.min(wide, width), seenHigh = Math.min(high, height);
      const context = canvas.getContext('2d');
      context.imageSmoothingEnabled = own < width;
      context.imageSmoothingQuality = 'high';
      context.drawImage(source, x * across, y * down, seenWide * across, seenHigh * down, 0, 0, seenWide, seenHigh);
    });
  }
}

function sizeOf(media) {
  return media.tagName === 'VIDEO' ? [media.videoWidth, media.videoHeight] : [media.naturalWidth, media.naturalHeight];
}

/** A stage whose videos play in step. */
export class Player extends Stage {
  constructor(rate) {
    super('video');
    for (const video of [this.input, this.result]) Object.assign(video, { playsInline: true, preload: 'auto' });
    this.input.muted = true;
    this.step = 1 / (rate || 25);
    this.button = el('button', { type: 'button', onclick: () => this.toggle() }, 'Play');
    this.time = el('input', { type: 'range', min: '0', max: '0', value: '0', 'aria-label': 'Time', oninput: () => this.seek(Number(this.time.value)) });
    this.time.step = this.step;
    this.label = el('span', { class: 'soft' }, clock(0));
    this.slider.after(el('div', { class: 'row' }, this.button, this.time, this.label));
    this.result.addEventListener('loadedmetadata', () => { this.time.max = this.result.duration; this.tick(); });
    this.result.addEventListener('ended', () => this.pause());
    this.result.addEventListener('seeked', () => this.tick());
  }

  async toggle() {
    if (!this.result.paused) { this.pause(); return; }
    if (this.result.ended) this.seek(0);
    this.button.textContent = 'Pause';
    this.input.currentTime = this.result.currentTime;
    try {
      await Promise.all([this.result.play(), this.input.play().catch(() => {})]);
      this.follow();
    } catch {
      this.pause();
    }
  }

  pause() {
    this.result.pause();
    this.input.pause();
    this.input.playbackRate = 1;
    this.button.textContent = 'Play';
    this.seek(this.result.currentTime);
  }

  seek(seconds) {
    this.result.currentTime = seconds;
    this.input.currentTime = seconds;
    this.tick();
  }

  tick() {
    this.time.value = this.result.currentTime;
    this.label.textContent = `${clock(this.result.currentTime)} of ${clock(this.result.duration || 0)}`;
    this.time.setAttribute('aria-valuetext', this.label.textContent);
  }

  /** While playing: the input follows the result, and catches up where it lags. */
  follow() {
    if (this.result.paused || !this.element.isConnected) { this.result.pause(); this.input.pause(); return; }
    const lag = this.result.currentTime - this.input.currentTime;
    if (Math.abs(lag) > 0.25) this.input.currentTime = this.result.currentTime;
    this.input.playbackRate = Math.abs(lag) > this.step / 4 ? Math.min(Math.max(1 + 2 * lag, 0.8), 1.25) : 1;
    this.tick();
    this.look();
    requestAnimationFrame(() => this.follow());
  }
}
