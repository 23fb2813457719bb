"use strict";
// The painter of a film's own pixels, of 8 to 16 bits, with its maps on the network's grid: for
// pages that have both, such as those of a service. See viewer.js for what a painter is.
//
//   film: { width, height, pixels,       // Uint8Array or Uint16Array, row by row
//           low, high,                   // stored values of black and white at the full window
//           inverted }                   // whether high is black (MONOCHROME1)
//   maps: [{ finding, values,            // Float32Array, rows x columns, >= 0
//            rows, columns,              // of the grid over the network's square
//            peak,                       // of the map on the film; found on 320 px where left out
//            place: { top, left, height, width, size } }]  // Preprocessing.placement and its size
//   hilumPixels.painter(stage, film, maps, { plain });  // plain: Canvas2D although there is WebGL2
//
// A value v shows as round(255 clamp((s - center) / width + 1/2)), s = (v - low) / (high - low).
// WebGL2 samples the pixels themselves; Canvas2D draws a windowed copy where there is no WebGL2.
const hilumPixels = (() => {
  // plasma and its alpha, as layer_palette() in ramp.py has them
  const STOPS = "0d0887 310597 4c02a1 6600a7 7e03a8 9511a1 aa2395 bc3587 cc4778 d9586a e56b5d f07f4f f89441 fdab33 fdc328 f9dd25 f0f921";
  const [CLEAR, FULL, BEND] = [0.1, 0.6, 0.9];
  const LAYER = 320;

  const clamp = (value) => Math.min(Math.max(value, 0), 1);

  function palette() {
    const stops = STOPS.split(" ").map((stop) => [0, 2, 4].map((at) => parseInt(stop.slice(at, at + 2), 16)));
    const colors = new Uint8ClampedArray(256 * 4);
    for (let level = 0; level < 256; level += 1) {
      const at = (level / 255) * (stops.length - 1);
      const lower = Math.min(Math.floor(at), stops.length - 2);
      for (let band = 0; band < 3; band += 1) {
        colors[4 * level + band] = stops[lower][band] + (at - lower) * (stops[lower + 1][band] - stops[lower][band]);
      }
      colors[4 * level + 3] = 255 * clamp((level / 255 - CLEAR) / (FULL - CLEAR)) ** BEND;
    }
    return colors;
  }

  // Where a point of the film, as a share of each side, lies on the grid; the same as to_film().
  function onGrid({ rows, columns, place }, down, across) {
    const row = ((place.top + down * place.height) * rows) / place.size - 0.5;
    const column = ((place.left + across * place.width) * columns) / place.size - 0.5;
    return [Math.min(Math.max(row, 0), rows - 1), Math.min(Math.max(column, 0), columns - 1)];
  }

  function valueAt(map, down, across) {
    const [row, column] = onGrid(map, down, across);
    const [top, left] = [Math.min(Math.floor(row), Math.max(map.rows - 2, 0)), Math.min(Math.floor(column), Math.max(map.columns - 2, 0))];
    const value = (r, c) => map.values[Math.min(r, map.rows - 1) * map.columns + Math.min(c, map.columns - 1)];
    const mix = (r) => value(r, left) + (column - left) * (value(r, left + 1) - value(r, left));
    return mix(top) + (row - top) * (mix(top + 1) - mix(top));
  }

  // Levels of a map on a small grid over the film, in [0, 1] of its peak there.
  function layer(map, width, height) {
    const scale = LAYER / Math.max(width, height);
    const [wide, high] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
    const values = new Float32Array(wide * high);
    for (let row = 0; row < high; row += 1) {
      for (let column = 0; column < wide; column += 1) {
        values[row * wide + column] = valueAt(map, (row + 0.5) / high, (column + 0.5) / wide);
      }
    }
    const peak = map.peak ?? values.reduce((most, value) => Math.max(most, value), 0);
    return { wide, high, peak, values };
  }

  // Window and inversion as one line: share of white = slope * value + offset.
  function line(film, { center, width, invert }) {
    const range = film.high - film.low || 1;
    const slope = 1 / (range * width);
    const offset = 0.5 - (center + film.low / range) / width;
    return invert !== Boolean(film.inverted) ? [-slope, 1 - offset] : [slope, offset];
  }

  const VERTEX = `#version 300 es
    void main() {
      vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
      gl_Position = vec4(corner, 0.0, 1.0);
    }`;
  const HEAD = `#version 300 es
    precision highp float; precision highp int; precision highp usampler2D;
    uniform vec2 corner, size; uniform vec3 view;
    vec2 place_of() { return (vec2(gl_FragCoord.x, view.y - gl_FragCoord.y) - corner) / view.x; }`;
  // The film as large as it is shown, in 16 bits: made anew when it is zoomed or moved, so that a
  // drag of the window reads one value a pixel and not up to 64.
  const SAMPLE = `${HEAD}
    uniform usampler2D film; uniform float fine;
    out uint sampled;
    float pixel(ivec2 at) { return float(texelFetch(film, clamp(at, ivec2(0), ivec2(size) - 1), 0).r); }
    float between(vec2 at) {
      vec2 low = floor(at - 0.5), share = at - 0.5 - low; ivec2 i = ivec2(low);
      return mix(mix(pixel(i), pixel(i + ivec2(1, 0)), share.x), mix(pixel(i + ivec2(0, 1)), pixel(i + 1), share.x), share.y);
    }
    void main() {
      vec2 at = place_of();
      int taps = view.x >= 1.0 ? 1 : int(min(4.0, ceil(1.0 / view.x)));
      float sum = 0.0;
      for (int y = 0; y < taps; y++) for (int x = 0; x < taps; x++)
        sum += between(at + (vec2(x, y) + 0.5) / (float(taps) * view.x) - 0.5 / view.x);
      sampled = uint(clamp(fine * sum / float(taps * taps) + 0.5, 0.0, 65535.0));
    }`;
  // The window over what was sampled. A renderer without a GPU pays for what a branch passes over,
  // so a film without a map has a program of its own.
  const WINDOW = `${HEAD}
    uniform usampler2D sampled; uniform vec2 window;
    out vec4 shown;
    vec3 gray() { return vec3(clamp(window.x * float(texelFetch(sampled, ivec2(gl_FragCoord.xy), 0).r) + window.y, 0.0, 1.0)); }
    bool inside(vec2 at) { return all(greaterThanEqual(at, vec2(0.0))) && all(lessThan(at, size)); }`;
  const PLAIN = `${WINDOW}
    void main() { shown = vec4(inside(place_of()) ? gray() : vec3(0.0), 1.0); }`;
  const MAPPED = `${WINDOW}
    uniform sampler2D grid; uniform sampler2D colors;
    uniform vec2 cells; uniform vec4 place;
    uniform float peak, opacity, contour; uniform bool map;
    float cell(ivec2 at) { return texelFetch(grid, clamp(at, ivec2(0), ivec2(cells) - 1), 0).r; }
    float level(vec2 at) {
      vec2 on = clamp((place.xy + at / size * place.zw) * cells - 0.5, vec2(0.0), cells - 1.0);
      vec2 low = floor(on), share = on - low; ivec2 i = ivec2(low);
      return mix(mix(cell(i), cell(i + ivec2(1, 0)), share.x), mix(cell(i + ivec2(0, 1)), cell(i + 1), share.x), share.y) / peak;
    }
    void main() {
      vec2 at = place_of();
      vec3 color = gray();
      float h = level(at);
      vec4 over = texelFetch(colors, ivec2(int(clamp(h, 0.0, 1.0) * 255.0 + 0.5), 0), 0);
      if (map) color = mix(color, over.rgb, over.a * opacity);
      float away = abs(h - contour) / max(fwidth(h), 1e-6);
      if (contour > 0.0) color = mix(mix(vec3(1.0), vec3(0.0), smoothstep(0.8, 1.2, away)), color, smoothstep(1.6, 2.2, away));
      shown = vec4(inside(at) ? color : vec3(0.0), 1.0);
    }`;

  // Peaks of the maps of a film, each found when it is first needed: a film may have many.
  class Peaks {
    constructor(film, maps) {
      Object.assign(this, { film, maps, known: new Map() });
    }

    of(map) {
      const { width, height } = this.film;
      if (!this.known.has(map)) this.known.set(map, map.peak ?? layer(map, width, height).peak);
      return this.known.get(map);
    }

    // What a level of 1 stands for: the map's own peak, or the highest of all maps of the film.
    scale(map, shared) {
      return shared ? Math.max(...this.maps.map((one) => this.of(one))) : this.of(map);
    }
  }

  class Glass {
    constructor(canvas, film, maps, peaks) {
      Object.assign(this, { film, maps, peaks });
      this.gl = canvas.getContext("webgl2", { alpha: false, antialias: false, premultipliedAlpha: false });
      if (this.gl) this.begin();
    }

    program(fragment) {
      const { gl } = this;
      const program = gl.createProgram();
      for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, fragment]]) {
        const shader = gl.createShader(kind);
        gl.shaderSource(shader, source);
        gl.compileShader(shader);
        gl.attachShader(program, shader);
      }
      gl.linkProgram(program);
      if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) || "no program");
      const places = new Map();
      return {
        use: () => gl.useProgram(program),
        at(name) {
          if (!places.has(name)) places.set(name, gl.getUniformLocation(program, name));
          return places.get(name);
        },
      };
    }

    begin() {
      const { gl, film } = this;
      this.sampler = this.program(SAMPLE);
      this.plain = this.program(PLAIN);
      this.mapped = null;  // made with the first map that is shown
      this.fine = Math.max(1, Math.floor(65535 / Math.max(film.high, 1)));
      this.target = gl.createFramebuffer();
      this.seen = "";
      gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
      const deep = film.pixels instanceof Uint16Array;
      this.texture(0, deep ? gl.R16UI : gl.R8UI, film.width, film.height, gl.RED_INTEGER, deep ? gl.UNSIGNED_SHORT : gl.UNSIGNED_BYTE, film.pixels);
      this.texture(2, gl.RGBA8, 256, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(palette().buffer));
      this.sampler.use();
      gl.uniform1i(this.sampler.at("film"), 0);
      gl.uniform1f(this.sampler.at("fine"), this.fine);
      this.plain.use();
      gl.uniform1i(this.plain.at("sampled"), 3);
      this.finding = null;
    }

    forMaps() {
      if (this.mapped) return this.mapped;
      this.mapped = this.program(MAPPED);
      this.mapped.use();
      ["grid", "colors", "sampled"].forEach((name, at) => this.gl.uniform1i(this.mapped.at(name), at + 1));
      return this.mapped;
    }

    texture(unit, inner, width, height, format, type, data) {
      const { gl } = this;
      gl.activeTexture(gl.TEXTURE0 + unit);
      const made = gl.createTexture();
      gl.bindTexture(gl.TEXTURE_2D, made);
      for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, gl.NEAREST);
      for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
      gl.texImage2D(gl.TEXTURE_2D, 0, inner, width, height, 0, format, type, data);
      return made;
    }

    // Where the film lies on the canvas, for the program in use.
    lie({ x, y, zoom }, canvas, ratio, program) {
      const { gl, film } = this;
      gl.uniform2f(program.at("corner"), x * ratio, y * ratio);
      gl.uniform2f(program.at("size"), film.width, film.height);
      gl.uniform3f(program.at("view"), zoom * ratio, canvas.height, 0);
    }

    sample(state, canvas, ratio) {
      const { gl } = this;
      const key = [state.x, state.y, state.zoom, ratio, canvas.width, canvas.height].join(" ");
      if (key === this.seen) return;
      const size = `${canvas.width} ${canvas.height}`;
      gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
      if (size !== this.size || !this.seen) {
        if (this.kept) gl.deleteTexture(this.kept);
        this.kept = this.texture(3, gl.R16UI, canvas.width, canvas.height, gl.RED_INTEGER, gl.UNSIGNED_SHORT, null);
        gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.kept, 0);
        this.size = size;
      }
      this.sampler.use();
      this.lie(state, canvas, ratio, this.sampler);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
      this.seen = key;
    }

    paint(state, canvas, ratio) {
      const { gl } = this;
      gl.viewport(0, 0, canvas.width, canvas.height);
      this.sample(state, canvas, ratio);
      const map = (state.map || state.contour) && this.maps.find((one) => one.finding === state.finding);
      const peak = map ? this.peaks.scale(map, state.shared) : 0;
      const program = peak > 0 ? this.forMaps() : this.plain;
      program.use();
      this.lie(state, canvas, ratio, program);
      const [slope, offset] = line(this.film, state);
      gl.uniform2f(program.at("window"), slope / this.fine, offset);
      if (peak > 0) this.lay(map, peak, state);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    }

    // A map over the film, for the program in use.
    lay(map, peak, state) {
      const { gl, mapped } = this;
      if (this.finding !== map.finding) {
        this.texture(1, gl.R32F, map.columns, map.rows, gl.RED, gl.FLOAT, map.values);
        const { top, left, width, height, size } = map.place;
        gl.uniform4f(mapped.at("place"), left / size, top / size, width / size, height / size);
        gl.uniform2f(mapped.at("cells"), map.columns, map.rows);
        this.finding = map.finding;
      }
      gl.uniform1f(mapped.at("peak"), peak);
      gl.uniform1f(mapped.at("opacity"), state.opacity);
      gl.uniform1i(mapped.at("map"), state.map ? 1 : 0);
      gl.uniform1f(mapped.at("contour"), state.contour);
    }
  }

  class Paper {
    constructor(canvas, film, maps, peaks) {
      Object.assign(this, { film, peaks });
      this.context = canvas.getContext("2d", { alpha: false });
      this.copy = new OffscreenCanvas(film.width, film.height).getContext("2d");
      this.drawn = "";
      this.layers = new Map(maps.map((map) => [map.finding, { map }]));
    }

    windowed(state) {
      const [slope, offset] = line(this.film, state);
      const key = `${slope} ${offset}`;
      if (key === this.drawn) return;
      const { pixels, width, height } = this.film;
      const shades = new Uint32Array(pixels instanceof Uint16Array ? 65536 : 256);
      for (let value = 0; value < shades.length; value += 1) {
        const shade = Math.round(255 * clamp(slope * value + offset));
        shades[value] = (0xff000000 | (shade << 16) | (shade << 8) | shade) >>> 0;
      }
      const colors = new Uint32Array(pixels.length);
      for (let at = 0; at < pixels.length; at += 1) colors[at] = shades[pixels[at]];
      this.copy.putImageData(new ImageData(new Uint8ClampedArray(colors.buffer), width, height), 0, 0);
      this.drawn = key;
    }

    layer({ finding, shared }) {
      const found = this.layers.get(finding);
      if (!found) return found;
      const scale = this.peaks.scale(found.map, shared);
      if (found.scale === scale) return found;
      const { wide, high, values } = layer(found.map, this.film.width, this.film.height);
      const levels = values.map((value) => (scale > 0 ? clamp(value / scale) : 0));
      const colors = new Uint32Array(palette().buffer);
      const pixels = Uint32Array.from(levels, (level) => colors[Math.round(255 * level)]);
      found.canvas = new OffscreenCanvas(wide, high);
      found.canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), wide, high), 0, 0);
      Object.assign(found, { scale, levels, contours: new Map() });
      return found;
    }

    outline({ canvas: { width, height }, levels, contours }, share) {
      if (!contours.has(share)) contours.set(share, contour(levels, width, height, share));
      return contours.get(share);
    }

    paint(state, canvas, ratio) {
      const { context, film } = this;
      const box = [state.x * ratio, state.y * ratio, film.width * state.zoom * ratio, film.height * state.zoom * ratio];
      this.windowed(state);
      context.fillStyle = "#000000";
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.imageSmoothingQuality = "high";
      context.drawImage(this.copy.canvas, ...box);
      const found = this.layer(state);
      if (!found) return;
      context.globalAlpha = state.map ? state.opacity : 0;
      context.drawImage(found.canvas, ...box);
      context.globalAlpha = 1;
      if (!state.contour) return;
      const path = new Path2D();
      path.addPath(this.outline(found, state.contour), new DOMMatrix([box[2], 0, 0, box[3], box[0], box[1]]));
      for (const [color, width] of [["#000000", 4], ["#ffffff", 2]]) {
        context.strokeStyle = color;
        context.lineWidth = width * ratio;
        context.stroke(path);
      }
    }
  }

  // Marching squares at a share of the scale, in shares of the film's sides.
  function contour(levels, wide, high, share) {
    const path = new Path2D();
    const at = (row, column) => levels[row * wide + column] - share;
    for (let row = 0; row + 1 < high; row += 1) {
      for (let column = 0; column + 1 < wide; column += 1) {
        const corners = [[row, column], [row, column + 1], [row + 1, column + 1], [row + 1, column]];
        const cuts = corners.flatMap((one, side) => {
          const next = corners[(side + 1) % 4];
          const [a, b] = [at(...one), at(...next)];
          if (a < 0 === b < 0) return [];
          const along = a / (a - b);
          return [one.map((value, axis) => value + along * (next[axis] - value))];
        });
        for (let side = 0; side + 1 < cuts.length; side += 2) {
          path.moveTo((cuts[side][1] + 0.5) / wide, (cuts[side][0] + 0.5) / high);
          path.lineTo((cuts[side + 1][1] + 0.5) / wide, (cuts[side + 1][0] + 0.5) / high);
        }
      }
    }
    return path;
  }

  class PixelPainter {
    constructor(stage, film, maps, { plain = false } = {}) {
      this.width = film.width;
      this.height = film.height;
      this.findings = maps.map((map) => map.finding);
      this.scales = maps.length > 1;
      this.ready = Promise.resolve();
      this.canvas = document.createElement("canvas");
      this.canvas.className = "pixels";
      const peaks = new Peaks(film, maps);
      const glass = plain ? null : new Glass(this.canvas, film, maps, peaks);
      this.by = glass && glass.gl ? glass : new Paper(this.canvas, film, maps, peaks);
      this.kind = this.by === glass ? "webgl2" : "2d";
      stage.prepend(this.canvas);
      this.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
      this.canvas.addEventListener("webglcontextrestored", () => {
        glass.begin();
        if (this.last) this.paint(...this.last);
      });
    }

    paint(state, box) {
      this.last = [state, box];
      const ratio = window.devicePixelRatio || 1;
      const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
      if (this.canvas.width !== width) this.canvas.width = width;
      if (this.canvas.height !== height) this.canvas.height = height;
      this.by.paint(state, this.canvas, ratio);
    }

    // Give the graphics memory back at once: a browser keeps some 16 contexts, and films are many.
    close() {
      this.last = null;
      const lost = this.by.gl && this.by.gl.getExtension("WEBGL_lose_context");
      if (lost) lost.loseContext();
    }
  }

  const painter = (stage, film, maps = [], options = {}) => new PixelPainter(stage, film, maps, options);
  return { painter, palette };
})();
