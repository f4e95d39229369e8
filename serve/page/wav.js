// Sound as a WAV file: mono, 16 bits.

export function wav(samples, rate) {
  const bytes = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const letters = (at, word) => [...word].forEach((letter, k) => bytes.setUint8(at + k, letter.charCodeAt(0)));
  letters(0, "RIFF");
  bytes.setUint32(4, 36 + 2 * samples.length, true);
  letters(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true); // length of what follows
  bytes.setUint16(20, 1, true); // whole numbers
  bytes.setUint16(22, 1, true); // channels
  bytes.setUint32(24, rate, true);
  bytes.setUint32(28, 2 * rate, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  letters(36, "data");
  bytes.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, k) => bytes.setInt16(44 + 2 * k, Math.round(Math.min(Math.max(sample, -1), 1) * 32767), true));
  return new Blob([bytes], { type: "audio/wav" });
}
