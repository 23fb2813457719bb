// The pictures of a film: its own pixels with maps, or the drawn files of a folder of results.
import * as api from "./api.js";
import { make } from "./element.js";

const kept = new Map();  // the newest films' bytes, so that going back and on loads nothing
const KEPT = 4;

function bytesOf(path) {
  if (!kept.has(path)) {
    const coming = api.bytes(path);
    coming.catch(() => kept.delete(path));
    kept.set(path, coming);
    while (kept.size > 2 * KEPT) kept.delete(kept.keys().next().value);
  }
  return kept.get(path);
}

// Load a film's bytes ahead of its turn.
export function ahead(links) {
  if (links.pixels) bytesOf(links.pixels).catch(() => {});
}

// Before the first film is opened: its bytes, and a drawing of one gray that nobody sees. What a
// browser starts for the first drawing of a page takes longer than any drawing after it.
export function warm(links) {
  if (!links.pixels) return;
  ahead(links);
  const painter = hilumPixels.painter(make("div"), { width: 1, height: 1, pixels: new Uint8Array(1), low: 0, high: 255 });
  painter.paint({ x: 0, y: 0, zoom: 1, center: 0.5, width: 1, invert: false, map: false, contour: 0 }, { width: 1, height: 1 });
  painter.close();
}

// A frame: the length of a JSON head in four bytes, the head, and data.
async function frame(path) {
  const data = await bytesOf(path);
  const length = new DataView(data).getUint32(0, true);
  const head = JSON.parse(new TextDecoder("ascii").decode(new Uint8Array(data, 4, length)));
  return { head, data, at: 4 + length };
}

async function pixelsOf(path) {
  const { head, data, at } = await frame(path);
  const stream = new Blob([new Uint8Array(data, at)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const grays = await new Response(stream).arrayBuffer();
  const deep = head.bits === 16;
  return {
    head,
    film: { width: head.columns, height: head.rows, pixels: deep ? new Uint16Array(grays) : new Uint8Array(grays), low: 0, high: deep ? 65535 : 255 },
  };
}

async function mapsOf(path) {
  const { head, data, at } = await frame(path);
  const [[wide, left], [high, top]] = head.film_to_grid;
  const place = {
    size: 1,
    left: left / head.columns,
    width: (wide * head.film_columns) / head.columns,
    top: top / head.rows,
    height: (high * head.film_rows) / head.rows,
  };
  const size = head.rows * head.columns;
  return head.findings.map((finding, index) => ({
    finding, place, rows: head.rows, columns: head.columns,
    values: new Float32Array(data, at + 4 * size * index, size),
  }));
}

function imagesIn(stage, links, name) {
  const maps = links.layers && Object.keys(links.layers).length ? links.layers : links.overlays;
  const picture = make("img", { class: "picture", alt: `Film ${name}`, src: links.preview, decoding: "async" });
  stage.prepend(make("div", { class: "sheet" }, picture,
    ...Object.entries(maps).map(([finding, src]) => make("img", { class: "map", alt: "", src, dataset: { finding } }))));
  return picture;
}

// Put a film on a stage: { painter, head, shares } where shares are its gray levels, sorted, in
// [0, 1], for the presets of the window; or null where it has no picture.
export async function pictureOf(stage, links, name) {
  if (links.pixels) {
    const [pixels, maps] = await Promise.all([pixelsOf(links.pixels), links.maps ? mapsOf(links.maps).catch(() => []) : []]);
    const { film } = pixels;
    const painter = hilumPixels.painter(stage, film, maps);
    painter.canvas.setAttribute("role", "img");
    painter.canvas.setAttribute("aria-label", `Film ${name}`);
    return { painter, head: pixels.head, shares: sample(film.pixels, film.high) };
  }
  if (!links.preview) return null;
  const picture = imagesIn(stage, links, name);
  const painter = new hilumViewer.ImagePainter(stage);
  await picture.decode();
  return { painter, head: {}, shares: sampleImage(picture) };
}

function sample(values, high) {
  const step = Math.max(1, Math.floor(values.length / 65536));
  const taken = new Float32Array(Math.ceil(values.length / step));
  for (let at = 0; at < taken.length; at += 1) taken[at] = values[at * step] / high;
  return taken.sort();
}

function sampleImage(picture) {
  const canvas = new OffscreenCanvas(128, 128);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0, 128, 128);
  const { data } = context.getImageData(0, 0, 128, 128);
  return Float32Array.from({ length: 128 * 128 }, (_, at) => data[4 * at] / 255).sort();
}

// Presets by the film's own gray levels: a film has no Hounsfield units. Each spans two quantiles.
export const PRESETS = [
  ["1", "As stored", "Window of the film as it is stored", null],
  ["2", "Full", "From the darkest to the brightest gray", [0.001, 0.999]],
  ["3", "Lung", "Dark grays spread: lung and its vessels", [0.02, 0.8]],
  ["4", "Bone", "Bright grays spread: ribs and spine", [0.4, 0.999]],
  ["5", "Mediastinum", "The brightest half spread: heart and mediastinum", [0.5, 0.97]],
];

export function windowOf(preset, shares) {
  const [, , , quantiles] = PRESETS.find(([key]) => key === preset);
  if (!quantiles || !shares.length) return { center: 0.5, width: 1 };
  const [low, high] = quantiles.map((one) => shares[Math.round(one * (shares.length - 1))]);
  const width = Math.max(high - low, 0.05);
  return { center: (low + high) / 2, width };
}
