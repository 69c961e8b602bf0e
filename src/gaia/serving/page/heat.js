// What a photo's answer hangs on, drawn over the photo, and in words.

import { announce, label, make, words } from "./dom.js";

const SIDE = 640; // px of the drawing's longer side
const LITTLE = 0.01; // changes of the probability that say nothing
const FOR = [255, 110, 0]; // hiding this makes the answer less likely
const AGAINST = [20, 110, 240]; // and this more

/** A figure: `rows` of by how much the probability of `answer` falls where that part is hidden. */
export async function heat(file, rows, answer, contract) {
  const crop = contract.input.framing === "crop";
  const all = rows.flat();
  const most = Math.max(...all);
  const least = Math.min(...all);
  const caption = make("figcaption");
  if (most < LITTLE && -least < LITTLE) caption.append(words("p", "heatNothing", answer));
  if (most >= LITTLE) caption.append(words("p", "heatCaption", answer, most, place(rows)));
  if (-least >= LITTLE) caption.append(words("p", "heatAgainst", answer, -least));
  if (crop) caption.append(words("p", "heatSquare"));
  announce("said", file.name, caption.firstChild.textContent);
  const image = await createImageBitmap(file).catch(() => null);
  if (!image) return make("figure", {}, words("p", "noPreview"), caption);
  const canvas = label(make("canvas", { role: "img" }), "heat");
  draw(canvas, image, rows, crop, Math.max(most, -least, LITTLE));
  return make("figure", {}, canvas, caption);
}

function draw(canvas, image, rows, crop, most) {
  const side = Math.min(image.width, image.height);
  const [width, height] = crop ? [side, side] : [image.width, image.height];
  const scale = SIDE / Math.max(width, height);
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.drawImage(image, (image.width - width) / 2, (image.height - height) / 2, width, height, 0, 0, canvas.width, canvas.height);
  pen.globalCompositeOperation = "saturation"; // colours say something else from here on
  pen.fillStyle = "rgb(128 128 128 / 0.85)";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.globalCompositeOperation = "source-over";
  const small = make("canvas", { width: rows[0].length, height: rows.length });
  const pixels = rows.flat().flatMap((value) => [...(value > 0 ? FOR : AGAINST), Math.round(Math.min(1, Math.abs(value) / most) * 225)]);
  small.getContext("2d").putImageData(new ImageData(Uint8ClampedArray.from(pixels), rows[0].length), 0, 0);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(small, 0, 0, canvas.width, canvas.height);
}

/** Where most of it is, as the number of a ninth of the photo. */
function place(rows) {
  const sums = Array(9).fill(0);
  rows.forEach((row, y) => row.forEach((value, x) => {
    sums[Math.floor((y * 3) / rows.length) * 3 + Math.floor((x * 3) / row.length)] += Math.max(value, 0);
  }));
  return sums.indexOf(Math.max(...sums));
}
