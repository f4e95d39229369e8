// A photograph: the phone's own camera app, or a look through this machine's camera.

const element = (id) => document.getElementById(id);

// show: called with the photograph; fail: called with a line that says why it is missing.
export function setUpCamera(show, fail) {
  const dialog = element("shutter"), video = element("video");
  let stream = null;

  function close() {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = video.srcObject = null;
    if (dialog.open) dialog.close();
  }

  async function open() {
    if (matchMedia("(pointer: coarse)").matches || !navigator.mediaDevices) {
      element("photo").click();
      return;
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch (error) {
      const none = error.name === "NotFoundError";
      fail(none ? "No camera found. Choose an image instead." : "This page may not use the camera. Choose an image instead.");
      return;
    }
    video.srcObject = stream;
    dialog.showModal();
    video.play().catch(() => {}); // closed before the first picture came
  }

  function take() {
    if (!video.videoWidth) return;
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    close();
    canvas.toBlob((blob) => show(blob, "photo"), "image/jpeg", 0.95);
  }

  element("camera").addEventListener("click", open);
  element("take").addEventListener("click", take);
  element("cancel").addEventListener("click", close);
  dialog.addEventListener("close", close);
  element("photo").addEventListener("change", ({ target }) => {
    if (target.files[0]) show(target.files[0], "photo");
    target.value = "";
  });
}
