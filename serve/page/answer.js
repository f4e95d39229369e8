// Shows an answer: the word, its sound, its distance to the label and the scores.
import { drawSpectrogram } from "./spectrogram.js";

const MOST = 10; // scores shown at first
const element = (id) => document.getElementById(id);
let address = null; // of the sound that is played

// Before the first image, and where an image has no answer.
export function showNothing(why) {
  element("word").replaceChildren(text("span", "…", "waiting"));
  element("verdict").className = "verdict";
  element("verdict").textContent = why;
  element("status").textContent = "";
  element("sound").pause();
  element("again").hidden = element("details").hidden = true;
}

export function showAnswer(answer, about) {
  const word = answer.spoken ?? answer.class;
  showWord(answer, word);
  showVoice(answer, about, word);
  showNearness(answer, word);
  showScores(answer.scores);
  element("details").hidden = false;
}

function showWord(answer, word) {
  const quotes = ["“", "”"].map((mark) => text("span", mark, "quote"));
  element("word").replaceChildren(quotes[0], word, quotes[1]);
  const other = answer.spoken && answer.spoken !== answer.class ? ` (class ${answer.class})` : "";
  const verdict = element("verdict");
  verdict.className = `verdict ${{ true: "sure", false: "unsure" }[answer.sure] ?? ""}`;
  verdict.textContent = { true: "It is sure", false: "It is not sure" }[answer.sure] ?? "No measure of confidence";
  verdict.textContent += `${other}.`;
  element("status").textContent = answer.sure === false ? `Not sure, but it says: ${word}` : `It says: ${word}`;
}

function showVoice(answer, about, word) {
  const sound = element("sound"), mute = element("mute");
  if (address) URL.revokeObjectURL(address);
  address = answer.sound ? URL.createObjectURL(answer.sound) : null;
  element("voice").hidden = !answer.label && !address && !about.silence;
  document.querySelector(".spectrogram").hidden = !answer.label;
  sound.hidden = element("again").hidden = !address;
  if (address) sound.src = address;
  else sound.removeAttribute("src");
  mute.hidden = Boolean(address);
  mute.textContent = about.silence ?? "";
  if (answer.label) {
    const seconds = about.seconds?.[answer.index];
    drawSpectrogram(element("spectrogram"), answer.label, about.floor);
    const length = seconds ? `${seconds.toFixed(2)} s` : "";
    element("spectrogram").setAttribute("aria-label", `Spectrogram of the spoken “${word}”${length && `, ${length}`}`);
    element("to").textContent = length;
  }
  if (address && element("aloud").checked) play();
}

function showNearness({ loss, threshold, sure }, word) {
  element("nearness").hidden = loss === null || !(threshold > 0);
  if (element("nearness").hidden) return;
  const meter = element("meter"), most = Math.max(2 * threshold, 1.1 * loss);
  const distance = `Distance to the label of “${word}”: ${loss.toFixed(2)}.`;
  const line = sure ? `${distance} Below ${threshold.toFixed(2)} the model is sure.` : `${distance} The model is sure only below ${threshold.toFixed(2)}.`;
  meter.classList.toggle("unsure", !sure);
  meter.setAttribute("aria-valuemax", most.toFixed(2));
  meter.setAttribute("aria-valuenow", loss.toFixed(2));
  meter.setAttribute("aria-valuetext", line);
  meter.querySelector(".zone").style.width = meter.querySelector(".limit").style.left = `${(100 * threshold) / most}%`;
  meter.querySelector(".needle").style.left = `${(100 * loss) / most}%`;
  element("near").textContent = line;
}

function showScores(scores) {
  const order = Object.entries(scores).sort((a, b) => b[1] - a[1]);
  const best = order[0][1], range = best - order.at(-1)[1] || 1, worst = order.at(-1)[1];
  const lines = order.map(([name, score]) => {
    const line = document.createElement("li"), track = document.createElement("span"), bar = text("div", "", "bar");
    bar.style.width = `${(100 * (score - worst)) / range}%`;
    track.setAttribute("aria-hidden", "true");
    track.append(bar);
    line.append(text("span", name, "name"), track, text("span", number(score), "value"));
    return line;
  });
  const more = element("more");
  more.hidden = lines.length <= MOST;
  const unfold = (all) => {
    lines.forEach((line, k) => (line.hidden = !all && k >= MOST));
    more.setAttribute("aria-expanded", String(all));
    more.textContent = all ? "Show the best ten" : `Show all ${lines.length}`;
  };
  more.onclick = () => unfold(more.getAttribute("aria-expanded") === "false");
  unfold(false);
  element("scores").replaceChildren(...lines);
}

const number = (score) => score.toFixed(2).replace("-", "−");

function text(kind, content, name) {
  const made = document.createElement(kind);
  made.className = name;
  made.textContent = content;
  return made;
}

function play() {
  element("sound").currentTime = 0;
  element("sound").play().catch(() => {}); // some browsers let a page speak only after a tap
}

// The button that repeats the sound, and a line that runs over the spectrogram with it.
export function setUpSound() {
  const sound = element("sound"), line = element("playhead");
  element("again").addEventListener("click", play);
  const move = () => {
    line.hidden = sound.paused || !sound.duration;
    line.style.left = `${(100 * sound.currentTime) / (sound.duration || 1)}%`;
    if (!sound.paused) requestAnimationFrame(move);
  };
  for (const event of ["play", "pause", "ended"]) sound.addEventListener(event, move);
}
