// Answers from a model inside the page, run by onnxruntime-web; nothing is sent anywhere.
import { bitmap, onWhite } from "./picture.js";
import { fit } from "./resample.js";
import { wav } from "./wav.js";

const LONGEST = 4096; // pixels; larger images are halved first, as browsers do it

const text = (id) => document.getElementById(id).textContent;

async function unpacked(id) {
  const bytes = Uint8Array.from(atob(text(id)), (letter) => letter.charCodeAt(0));
  document.getElementById(id).remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function open() {
  const { ort } = globalThis;
  const glue = new Blob([text("ort-glue")], { type: "text/javascript" });
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(glue) };
  ort.env.wasm.wasmBinary = (await unpacked("ort-wasm")).buffer;
  ort.env.wasm.numThreads = 1; // more need headers that a file does not have
  return ort.InferenceSession.create(await unpacked("model"), { executionProviders: ["wasm"] });
}

let session = null;

export const local = {
  async model() {
    session = open();
    await session;
    return JSON.parse(text("manifest"));
  },

  // blob -> { class, spoken, scores, loss, threshold, sure, label, sound }
  async ask(blob, about) {
    const image = await bitmap(blob);
    const canvas = onWhite(image, about.resize === 0 ? Infinity : LONGEST); // 0: a crop of the image as it is
    image.close();
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const tensor = new ort.Tensor("float32", fit(pixels, about), [1, about.channels, about.height, about.width]);
    const outputs = await (await session).run({ image: tensor });
    return decided(outputs, about);
  },
};

function decided(outputs, about) {
  const scores = outputs.scores.data;
  let index = 0;
  scores.forEach((score, k) => (index = score > scores[index] ? k : index));
  const loss = outputs.loss ? outputs.loss.data[index] : null;
  return {
    index,
    class: about.classes[index],
    spoken: about.spoken[index] ?? null,
    scores: Object.fromEntries(about.classes.map((name, k) => [name, scores[k]])),
    loss,
    threshold: about.threshold,
    sure: loss === null || about.threshold === null ? null : loss < about.threshold,
    label: about.floor === null ? null : rows(outputs.label),
    sound: sound(outputs, index, about),
  };
}

// The prediction's own sound, made by the file, or that of the class's name.
function sound(outputs, index, about) {
  if (outputs.waveform) return wav(outputs.waveform.data.subarray(0, Number(outputs.samples.data[0])), about.rate);
  if (!about.sounds) return null;
  const bytes = Uint8Array.from(atob(about.sounds[index]), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: "audio/wav" });
}

function rows({ data, dims }) {
  const [, bands, columns] = dims;
  return Array.from({ length: bands }, (_, band) => Array.from(data.subarray(band * columns, (band + 1) * columns)));
}
