// Resizing as Pillow does it, so that the model sees here what it sees elsewhere: two passes, weights in
// fixed point, every pass rounded to 8 bits.

const BITS = 22;
const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

// By name: how far it reaches, and its weights.
const FILTERS = {
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  bicubic: [2, (x, y = Math.abs(x)) => (y < 1 ? (1.5 * y - 2.5) * y * y + 1 : y < 2 ? ((-0.5 * y + 2.5) * y - 4) * y + 2 : 0)],
  lanczos: [3, (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0)],
};

// For each of `count` outputs over [from, to) of an axis: where its inputs start, and their weights.
function taps(size, from, to, count, how) {
  const scale = Math.fround(to - from) / count;
  if (how === "nearest") {
    let place = from - scale / 2; // summed up step by step, because Pillow does
    return Array.from({ length: count }, () => [Math.min(Math.floor((place += scale)), size - 1), [1 << BITS]]);
  }
  const [reach, weigh] = FILTERS[how], wide = Math.max(scale, 1), support = reach * wide;
  return Array.from({ length: count }, (_, k) => {
    const centre = from + (k + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - support + 0.5), 0), last = Math.min(Math.trunc(centre + support + 0.5), size);
    const weights = Array.from({ length: last - first }, (_, x) => weigh((x + first - centre + 0.5) / wide));
    const sum = weights.reduce((a, b) => a + b, 0);
    return [first, weights.map((weight) => Math.trunc((weight / sum) * 2 ** BITS + (weight < 0 ? -0.5 : 0.5)))];
  });
}

// One pass along each of `lines` lines of pixels, into `out`; the steps are between lines and between pixels.
function pass(data, out, lines, along, lineStep, step, outLineStep, outStep) {
  for (let line = 0; line < lines; line++) {
    along.forEach(([first, weights], k) => {
      for (let c = 0; c < 3; c++) {
        let sum = 1 << (BITS - 1);
        for (let x = 0; x < weights.length; x++) sum += data[line * lineStep + (first + x) * step + c] * weights[x];
        out[line * outLineStep + k * outStep + c] = Math.min(Math.max(sum >> BITS, 0), 255);
      }
    });
  }
}

// The part of an image that is left by resizing its shorter side and cropping the centre: left, top, right, bottom.
function centre(width, height, about) {
  const scale = about.resize / Math.min(width, height);
  const whole = [Math.max(even(width * scale), about.width), Math.max(even(height * scale), about.height)];
  const left = Math.floor((whole[0] - about.width) / 2), top = Math.floor((whole[1] - about.height) / 2);
  const across = width / whole[0], down = height / whole[1];
  const right = Math.min((left + about.width) * across, width), bottom = Math.min((top + about.height) * down, height);
  return [left * across, top * down, right, bottom].map(Math.fround); // Pillow keeps them in single precision
}

// Round half to even, as Python does.
function even(value) {
  const low = Math.floor(value), rest = value - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}

// image: ImageData; about: height, width, channels, resize, interpolation of what the model takes.
// Returns float32 [channels, height, width] in 0..1.
export function fit(image, about) {
  const { width, height } = about;
  const grey = about.channels === 1;
  const data = grey ? greyed(image.data) : image.data;
  const box = about.resize ? centre(image.width, image.height, about) : [0, 0, image.width, image.height];
  const across = taps(image.width, box[0], box[2], width, about.interpolation);
  const down = taps(image.height, box[1], box[3], height, about.interpolation);
  const small = new Uint8Array(height * width * 3);
  // Recent Pillow begins with the columns where that saves work; the order shows in the rounding.
  if (image.height - height > 2 * Math.max(image.width - width, 0)) {
    const between = new Uint8Array(height * image.width * 3);
    pass(data, between, image.width, down, 4, image.width * 4, 3, image.width * 3);
    pass(between, small, height, across, image.width * 3, 3, width * 3, 3);
  } else {
    const between = new Uint8Array(image.height * width * 3);
    pass(data, between, image.height, across, image.width * 4, 4, width * 3, 3);
    pass(between, small, width, down, 3, width * 3, 3, width * 3);
  }
  const planes = new Float32Array(about.channels * height * width);
  for (let c = 0; c < about.channels; c++) {
    for (let k = 0; k < height * width; k++) planes[c * height * width + k] = Math.fround(small[k * 3 + c] / 255);
  }
  return planes;
}

function greyed(data) {
  const grey = new Uint8Array(data.length);
  for (let k = 0; k < data.length; k += 4) {
    grey.fill((data[k] * 19595 + data[k + 1] * 38470 + data[k + 2] * 7471 + 0x8000) >> 16, k, k + 3);
  }
  return grey;
}
