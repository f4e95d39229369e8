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

// For outputs `from` to `to` of the `count` that an axis of `size` is resized to: where their inputs start, and
// their weights. Outputs outside 0..count have no inputs, so that they become 0.
function taps(size, count, from, to, how) {
  const scale = size / count;
  const nearest = how === "nearest" ? places(size, count, Math.min(to, count)) : null;
  const [reach, weigh] = FILTERS[how] ?? [0, null], wide = Math.max(scale, 1), support = reach * wide;
  return Array.from({ length: to - from }, (_, k) => {
    const output = from + k;
    if (output < 0 || output >= count) return [0, []];
    if (nearest) return [nearest[output], [1 << BITS]];
    const centre = (output + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - support + 0.5), 0), last = Math.min(Math.trunc(centre + support + 0.5), size);
    const weights = Array.from({ length: last - first }, (_, x) => weigh((x + first - centre + 0.5) / wide));
    const sum = weights.reduce((a, b) => a + b, 0);
    return [first, weights.map((weight) => Math.trunc((weight / sum) * 2 ** BITS + (weight < 0 ? -0.5 : 0.5)))];
  });
}

// The nearest inputs of the first `known` outputs, summed up step by step, because Pillow does.
function places(size, count, known) {
  const scale = size / count;
  let place = -scale / 2;
  return Array.from({ length: known }, () => Math.min(Math.floor((place += scale)), size - 1));
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

// Width and height before the crop: torchvision's Resize, which truncates the longer side.
function resized(width, height, about) {
  if (about.resize === null) return [about.width, about.height];
  if (about.resize === 0) return [width, height];
  const longer = Math.trunc((about.resize * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? [about.resize, longer] : [longer, about.resize];
}

// Where the central crop begins: torchvision's CenterCrop, which rounds halves to even and fills up with zeros.
function start(size, crop) {
  const half = Math.floor((size - crop) / 2);
  if (size < crop) return -Math.floor((crop - size) / 2);
  return (size - crop) % 2 && half % 2 ? half + 1 : half;
}

// image: ImageData; about: height, width, channels, resize, interpolation of what the model takes.
// Returns float32 [channels, height, width] in 0..1.
export function fit(image, about) {
  const { width, height } = about;
  const grey = about.channels === 1;
  const data = grey ? greyed(image.data) : image.data;
  const whole = resized(image.width, image.height, about);
  const left = start(whole[0], width), top = start(whole[1], height);
  const across = taps(image.width, whole[0], left, left + width, about.interpolation);
  const down = taps(image.height, whole[1], top, top + height, about.interpolation);
  const small = new Uint8Array(height * width * 3);
  // Recent Pillow begins with the columns where that saves work; the order shows in the rounding.
  if (image.height - whole[1] > 2 * Math.max(image.width - whole[0], 0)) {
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
