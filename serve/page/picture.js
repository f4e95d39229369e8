// Images, as the browser reads them.

const LONGEST = 2048;

// The image upright, and not in anybody's colour profile.
export async function bitmap(blob) {
  try {
    return await createImageBitmap(blob, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new Error(blob.size ? "not an image that can be read" : "empty, not an image");
  }
}

// A canvas with the image on white, at most `longest` pixels wide and high.
export function onWhite(image, longest) {
  const scale = Math.min(1, longest / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

// The same image in fewer bytes.
export async function smaller(blob) {
  const image = await bitmap(blob);
  const canvas = onWhite(image, LONGEST);
  image.close();
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
}
