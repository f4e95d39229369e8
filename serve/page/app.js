// The page: takes an image from a button, a drop, the clipboard or the camera, then shows and speaks the answer.
import { setUpSound, showAnswer, showNothing } from "./answer.js";
import { setUpCamera } from "./camera.js";

const TINY = 128; // pixels up to which an image is shown as squares
const element = (id) => document.getElementById(id);

// backend: { model() -> its description, ask(blob, about, signal) -> an answer }
export async function start(backend) {
  let about = null, asking = null;
  const known = backend.model().then((model) => {
    about = model;
    describe(about);
    offer(about.examples, show);
  });
  known.catch((error) => fail(`The model is not available: ${error.message}.`));

  async function show(blob, name) {
    asking?.abort();
    const mine = (asking = new AbortController());
    element("problem").hidden = true;
    element("answer").setAttribute("aria-busy", "true");
    preview(blob);
    try {
      await known;
      const answer = await backend.ask(blob, about, mine.signal);
      if (mine.signal.aborted) return;
      showAnswer(answer, about);
      reveal();
    } catch (error) {
      if (mine.signal.aborted) return;
      showNothing("No answer.");
      fail(explain(error, name));
    } finally {
      if (asking === mine) element("answer").setAttribute("aria-busy", "false");
    }
  }

  setUpInputs(show);
  setUpCamera(show, fail);
  setUpSound();
  showNothing("No image yet.");
}

function describe(about) {
  document.title = `${about.model}: viva voce`;
  element("aloud").parentElement.hidden = !about.speaks;
  const words = about.spoken.length ? about.spoken : about.classes;
  const some = words.slice(0, 10).join(", ") + (words.length > 10 ? ` and ${words.length - 10} more` : "");
  element("about").textContent = `Show ${about.model} an image; it ${about.speaks ? "says aloud" : "shows"} what it sees: ${some}.`;
}

// Images for those who have none at hand.
function offer(examples, show) {
  for (const { name, image } of examples) {
    const button = document.createElement("button"), picture = new Image();
    Object.assign(button, { type: "button", className: "thumbnail" });
    Object.assign(picture, { src: image, alt: `Try an image of class ${name}` });
    button.append(picture);
    button.addEventListener("click", () => show(fromDataUrl(image), `the image of class ${name}`));
    const item = document.createElement("li");
    item.append(button);
    element("thumbnails").append(item);
  }
  element("examples").hidden = !examples.length;
}

// The page's policy does not let fetch read a data URL.
function fromDataUrl(url) {
  const [head, content] = url.split(",");
  return new Blob([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))], { type: head.slice(5).split(";")[0] });
}

// On a small screen the answer is below; bring it up.
function reveal() {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (element("answer").getBoundingClientRect().top > innerHeight * 0.6) {
    element("answer").scrollIntoView({ behavior: calm ? "auto" : "smooth" });
  }
}

function setUpInputs(show) {
  const drop = element("drop");
  element("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) show(target.files[0], target.files[0].name);
    target.value = ""; // so that the same file can be chosen again
  });
  for (const event of ["dragenter", "dragover"]) {
    document.addEventListener(event, (dragged) => {
      dragged.preventDefault();
      drop.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (dragged) => {
    if (!dragged.relatedTarget) drop.classList.remove("over");
  });
  document.addEventListener("drop", (dropped) => {
    dropped.preventDefault();
    drop.classList.remove("over");
    const [file] = dropped.dataTransfer.files;
    if (file) show(file, file.name);
    else fail("That is not a file. Drop an image file, or save the image first.");
  });
  document.addEventListener("paste", ({ clipboardData }) => {
    const [file] = clipboardData.files;
    if (file) show(file, "what you pasted");
    else fail("There is no image on the clipboard.");
  });
}

let previewed = null;

function preview(blob) {
  const image = element("preview");
  if (previewed) URL.revokeObjectURL(previewed);
  image.onload = () => {
    image.classList.toggle("tiny", Math.max(image.naturalWidth, image.naturalHeight) <= TINY);
    image.hidden = false;
    element("frame").toggleAttribute("hidden", true);
  };
  image.onerror = () => {
    image.hidden = true;
    element("frame").toggleAttribute("hidden", false);
  };
  image.src = previewed = URL.createObjectURL(blob);
}

function explain(error, name) {
  if (error instanceof TypeError) return "The server does not answer; is it still running?";
  return `${error.message.startsWith("image: ") ? error.message.replace("image", name) : `${name}: ${error.message}`}.`;
}

function fail(message) {
  const problem = element("problem");
  problem.textContent = message;
  problem.hidden = false;
}
