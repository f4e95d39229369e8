// Showing an answer: the word, its sound, how near it came, the scores.
import { drawSpectrogram } from "./spectrogram.js";

const MOST = 10; // scores shown at first
const element = (id) => document.getElementById(id);
let address = null; // of the sound that is played

// Before anything was shown, and when there is no answer to what was.
export function showNothing(why) {
  element("word").replaceChildren(text("span", "…", "waiting"));
  element("verdict").className = "verdict";
  element("verdict").textContent = why;
  element("status").textContent = "";
  element("sound").pause();
  element("again").hidden = element("details").hidden = true;
}

export function showAnswer(told, about) {
  const word = told.spoken ?? told.class;
  showWord(told, word);
  showVoice(told, about, word);
  showNearness(told, word);
  showScores(told.scores);
  element("details").hidden = false;
}

function showWord(told, word) {
  const quotes = ["“", "”"].map((mark) => text("span", mark, "quote"));
  element("word").replaceChildren(quotes[0], word, quotes[1]);
  const other = told.spoken && told.spoken !== told.class ? ` (class ${told.class})` : "";
  const verdict = element("verdict");
  verdict.className = `verdict ${{ true: "sure", false: "unsure" }[told.sure] ?? ""}`;
  verdict.textContent = { true: "It is sure", false: "It is not sure" }[told.sure] ?? "It does not tell how sure it is";
  verdict.textContent += `${other}.`;
  element("status").textContent = told.sure === false ? `Not sure, but it says: ${word}` : `It says: ${word}`;
}

function showVoice(told, about, word) {
  const sound = element("sound"), mute = element("mute");
  if (address) URL.revokeObjectURL(address);
  address = told.sound ? URL.createObjectURL(told.sound) : null;
  element("voice").hidden = !told.label && !address && !about.silence;
  document.querySelector(".spectrogram").hidden = !told.label;
  sound.hidden = element("again").hidden = !address;
  if (address) sound.src = address;
  else sound.removeAttribute("src");
  mute.hidden = Boolean(address);
  mute.textContent = about.silence ?? "";
  if (told.label) {
    const seconds = about.seconds?.[told.index];
    drawSpectrogram(element("spectrogram"), told.label, about.floor);
    const length = seconds ? `${seconds.toFixed(2)} s` : "";
    element("spectrogram").setAttribute("aria-label", `Spectrogram of the spoken “${word}”${length && `, ${length}`}`);
    element("to").textContent = length;
  }
  if (address && element("aloud").checked) play();
}

function showNearness({ loss, threshold, sure }, word) {
  element("nearness").hidden = loss === null || threshold === null;
  if (element("nearness").hidden) return;
  const meter = element("meter"), most = Math.max(2 * threshold, 1.1 * loss);
  const line = `${loss.toFixed(2)} from the label of “${word}”; it is sure below ${threshold.toFixed(2)}.`;
  meter.classList.toggle("unsure", !sure);
  meter.setAttribute("aria-valuemax", most.toFixed(2));
  meter.setAttribute("aria-valuenow", loss.toFixed(2));
  meter.setAttribute("aria-valuetext", line);
  meter.querySelector(".zone").style.width = meter.querySelector(".limit").style.left = `${(100 * threshold) / most}%`;
  meter.querySelector(".needle").style.left = `${(100 * loss) / most}%`;
  element("near").textContent = `${line} ${sure ? "Left of the line is near enough." : "Right of the line no word is near enough."}`;
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
