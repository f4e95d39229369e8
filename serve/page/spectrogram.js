// Drawing a predicted spectrogram.

// Dark to light: violet, red, yellow.
const STOPS = [[18, 10, 28], [75, 20, 110], [160, 40, 115], [232, 90, 80], [253, 170, 100], [252, 244, 190]];

function colour(share) {
  const place = Math.min(Math.max(share, 0), 1) * (STOPS.length - 1);
  const k = Math.min(Math.floor(place), STOPS.length - 2);
  return STOPS[k].map((value, c) => value + (STOPS[k + 1][c] - value) * (place - k));
}

// label: rows of decibels, lowest band first; floor: decibels of silence.
export function drawSpectrogram(canvas, label, floor) {
  const bands = label.length, columns = label[0].length;
  const small = document.createElement("canvas");
  small.width = columns;
  small.height = bands;
  const context = small.getContext("2d"), image = context.createImageData(columns, bands);
  for (let band = 0; band < bands; band++) {
    for (let column = 0; column < columns; column++) {
      const at = 4 * ((bands - 1 - band) * columns + column);
      image.data.set([...colour(1 - label[band][column] / floor), 255], at);
    }
  }
  context.putImageData(image, 0, 0);
  const large = canvas.getContext("2d");
  large.imageSmoothingQuality = "high";
  large.drawImage(small, 0, 0, canvas.width, canvas.height);
}
