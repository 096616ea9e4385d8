// --- one result, large ---------------------------------------------------------------------------------------------

const view = $("view");
let viewed = null; // its row

function shownFile(row, file) {
  return file && /\.(png|jpe?g|webp)$/i.test(file) ? path(row.id, file) : null;
}

// What the stage can show of a result, or of a variant of a sweep: the picture, and the photo beside it. Of a print, and
// of a format that browsers do not show, there is a picture of its own for it.
function faces(row) {
  const of = (name) => row.previews.includes(name) && path(row.id, `previews/${name}.webp`);
  const whole = {
    label: row.variants ? "Sheet" : "Picture",
    after: of("large") || shownFile(row, row.picture) || of("picture"),
    before: row.variants ? null : of("photo"),
    width: row.width,
    height: row.height,
    file: row.picture,
  };
  const variants = (row.variants || []).map((variant, index) => {
    const number = String(index + 1).padStart(3, "0");
    return {
      label: variant.variant,
      thumb: of(`${number}/picture`),
      after: of(`${number}/large`) || shownFile(row, variant.file) || of(`${number}/picture`),
      before: variant.file && (of(`${number}/photo`) || of("photo")),
      file: variant.file,
      variant,
    };
  });
  return [whole, ...variants];
}

// A clip, and beside it what was filmed, in step with it.
function films(row) {
  const poster = row.previews.includes("large") ? path(row.id, "previews/large.webp") : null;
  const painted = el("video", { src: path(row.id, row.picture), poster, controls: "", loop: "", playsinline: "", "aria-label": `${row.name}, painted` });
  if (!row.previews.includes("film")) return el("div", { class: "films" }, painted);
  const filmed = el("video", { src: path(row.id, "previews/film.mp4"), playsinline: "", "aria-label": "the video" });
  filmed.muted = filmed.loop = true;
  const together = () => {
    filmed.playbackRate = painted.playbackRate;
    if (Math.abs(filmed.currentTime - painted.currentTime) > 0.1) filmed.currentTime = painted.currentTime;
    if (painted.paused !== filmed.paused) painted.paused ? filmed.pause() : filmed.play().catch(() => {});
  };
  for (const event of ["play", "pause", "seeked", "ratechange", "timeupdate"]) painted.addEventListener(event, together);
  return el("div", { class: "films" }, filmed, painted);
}

function stage(row, face) {
  if (/\.mp4$/i.test(face.file || "")) return films(row);
  const none = () => el("div", { class: "stage none" }, row.error ? "failed" : "no picture");
  if (!face.after) return none();
  const after = el("img", { class: "after", src: face.after, alt: `${row.name}, painted`, draggable: "false", onerror: () => box.replaceWith(none()) });
  const box = el("div", { class: "stage" }, after);
  const shape = (width, height) => {
    box.style.setProperty("--ratio", `${width} / ${height}`);
    box.style.setProperty("--r", width / height);
    box.style.setProperty("--w", width);
  };
  if (face.width && face.height) shape(face.width, face.height);
  else after.addEventListener("load", () => shape(after.naturalWidth, after.naturalHeight));
  if (!face.before) return box;
  const slide = (value) => box.style.setProperty("--at", `${value}%`);
  const at = keep("slider") ?? 50;
  const range = el("input", {
    type: "range", min: 0, max: 100, step: 0.5, value: at, class: "slider", "aria-label": "Before and after: how much of the photo is shown",
    oninput: () => (slide(range.value), keep("slider", Number(range.value))),
  });
  slide(at);
  const alone = () => box.replaceChildren(after);
  box.append(
    el("img", { class: "before", src: face.before, alt: "the photo", draggable: "false", onerror: alone }),
    el("div", { class: "line", "aria-hidden": "true" }),
    el("span", { class: "tag left", "aria-hidden": "true" }, "Photo"),
    el("span", { class: "tag right", "aria-hidden": "true" }, "Painted"),
    range,
  );
  return box;
}

const SVG = "http://www.w3.org/2000/svg";
function svg(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// The values are hundredths of the logarithm to base ten; null where a loss is zero.
function curve({ last: steps, scales, ...lines }) {
  const [width, height, left, top, bottom] = [320, 150, 34, 14, 18];
  const values = Object.values(lines).flat().filter((value) => value !== null);
  if (!values.length) return null;
  const low = Math.floor(Math.min(...values) / 100) * 100;
  const high = Math.max(low + 100, Math.ceil(Math.max(...values) / 100) * 100);
  const x = (share) => left + share * (width - left - 4);
  const y = (value) => top + ((high - value) / (high - low)) * (height - top - bottom);
  const graph = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "curve", role: "img", "aria-label": "Losses by step" });
  const each = Math.ceil((high - low) / 400) * 100;
  for (let value = low; value <= high; value += each) {
    graph.append(svg("line", { x1: left, x2: width - 4, y1: y(value), y2: y(value), class: "grid" }));
    graph.append(svg("text", { x: left - 5, y: y(value) + 3, "text-anchor": "end" }, `1e${value / 100}`));
  }
  for (const [step, side] of scales) {
    const at = x((step - 1) / Math.max(1, steps - 1));
    graph.append(svg("line", { x1: at, x2: at, y1: top, y2: height - bottom, class: "scale" }));
    graph.append(svg("text", { x: at + 2, y: top - 4 }, `${side} px`));
  }
  for (const [name, points] of Object.entries(lines)) {
    let pen = "M";
    const d = points.map((value, index) => {
      if (value === null) return (pen = "M"), "";
      const command = `${pen}${x(index / Math.max(1, points.length - 1)).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
      return command;
    });
    graph.append(svg("path", { d: d.join(""), class: name }));
  }
  graph.append(svg("text", { x: width - 4, y: height - 4, "text-anchor": "end" }, `${plural(steps, "step")}`));
  const legend = el("p", { class: "legend" }, Object.keys(lines).map((name) => el("span", { class: name }, name)));
  return el("figure", {}, graph, legend);
}

function inWords(value) {
  if (Array.isArray(value)) return value.map(inWords).join(", ");
  if (value && typeof value === "object") return Object.entries(value).map(([k, v]) => `${k} ${inWords(v)}`).join(", ");
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value);
}

function facts(pairs) {
  const there = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", {}, there.flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]));
}

function details(row) {
  const changed = Object.entries(row.parameters || {});
  const rest = Object.entries(data.defaults).filter(([key]) => !(key in (row.parameters || {})));
  const number = (name) => Number(name.slice("painting-".length));
  const paintings = row.previews.filter((name) => name.startsWith("painting-")).sort((a, b) => number(a) - number(b));
  return el(
    "div",
    { class: "details" },
    row.error ? el("p", { class: "reason" }, row.error) : null,
    row.error ? el("p", { class: "soft" }, todo(row)) : null,
    el(
      "div",
      { class: "sources" },
      row.previews.includes("photo") ? source(row, "photo", last(row.content)) : null,
      paintings.map((name) => source(row, name, painting(row.styles[number(name) - 1]))),
    ),
    facts([
      ["Photo", row.content],
      [row.styles && row.styles.length > 1 ? "Paintings" : "Painting", (row.styles || []).join(", ")],
      ["Size", row.width && `${row.width} × ${row.height}`],
      ["Finished", row.at && new Date(row.at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })],
      ["Time", row.seconds !== null && row.steps ? `${duration(row.seconds)} for ${plural(row.steps, "step")}` : duration(row.seconds)],
      ["Device", [row.device, row.precision].filter(Boolean).join(", ")],
      ["Memory", row.memory && `${(row.memory / 1e9).toFixed(1)} GB at the peak`],
      ["Card's memory", row.card_memory && `${(row.card_memory / 1e9).toFixed(1)} GB at the peak`],
      ["Attempts", row.attempts > 1 ? row.attempts : null],
    ]),
    row.curve ? el("div", {}, el("h3", {}, "Losses"), curve(row.curve)) : null,
    row.preset ? el("h3", {}, "Parameters") : null,
    row.preset ? facts([["preset", row.preset], ...changed.map(([key, value]) => [key, inWords(value)])]) : null,
    row.preset && rest.length
      ? el("details", { id: "defaults", open: $("defaults")?.open ?? keep("defaults") }, el("summary", {}, "All others, which are the defaults"), facts(rest.map(([key, value]) => [key, inWords(value)])))
      : null,
    el("h3", {}, "Files"),
    el("ul", { class: "files" }, row.files.map((file) => el("li", {}, el("a", { href: path(row.id, file) }, file)))),
  );
}

function source(row, name, caption) {
  const image = el("img", { src: path(row.id, `previews/${name}.webp`), alt: caption || name, loading: "lazy", onerror: () => image.remove() });
  return el("figure", {}, image, el("figcaption", {}, caption || name));
}

// To another picture of the result: closing goes back to before the result, however many have been looked at.
function link(changes, ...children) {
  const follow = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    replace(changes);
    showView();
  };
  return el("a", { href: address(changes), onclick: follow }, ...children);
}

function variantsTable(row, all, chosen) {
  const swept = row.columns;
  const best = (value) => (typeof value === "number" ? value.toPrecision(3) : "");
  const line = (face, index) =>
    el(
      "tr",
      { class: index + 1 === chosen ? "chosen" : null },
      el("td", {}, link({ view: row.id, variant: index + 1 }, face.thumb ? el("img", { src: face.thumb, alt: "", loading: "lazy" }) : null, face.label)),
      swept.map((key) => el("td", {}, String(face.variant[key] ?? ""))),
      el("td", {}, face.variant.error ? el("span", { class: "reason" }, face.variant.error) : best(face.variant.final_total)),
      el("td", {}, duration(face.variant.optimize_seconds)),
    );
  return el(
    "div",
    { class: "table" },
    el(
      "table",
      {},
      el("thead", {}, el("tr", {}, ["variant", ...swept, "loss", "time"].map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, all.slice(1).map(line)),
    ),
  );
}

function neighbours(id) {
  const order = found.length && found.some((row) => row.id === id) ? found : data.results;
  const at = order.findIndex((row) => row.id === id);
  return [order[at - 1], order[at + 1]];
}

function showView() {
  const params = state();
  const row = byId.get(params.get("view"));
  if (!row) {
    viewed = null;
    if (view.open) view.close();
    return;
  }
  const isNew = viewed !== row;
  const all = faces(row);
  const chosen = Math.min(Number(params.get("variant")) || 0, all.length - 1);
  const [before, after] = neighbours(row.id);
  const step = (to, sign, label) =>
    el("button", { type: "button", class: "step", disabled: !to, "aria-label": label, onclick: () => go(to) }, sign);
  redraw(
    view,
    el(
      "header",
      {},
      el("div", {}, el("h2", {}, row.name), el("p", { class: "soft" }, row.variants ? plural(row.variants.length, "variant") : like(row))),
      el("nav", {}, step(before, "‹", "Newer result"), step(after, "›", "Older result"), el("button", { type: "button", class: "step", "aria-label": "Close", onclick: close }, "×")),
    ),
    el(
      "div",
      { class: row.picture ? "body" : "body plain" },
      el(
        "div",
        { class: "main" },
        row.picture ? stage(row, all[chosen]) : null,
        chosen ? el("p", { class: "soft" }, `${all[chosen].label} · `, link({ view: row.id, variant: "" }, "back to the sheet")) : null,
        row.variants ? variantsTable(row, all, chosen) : null,
      ),
      details(row),
    ),
  );
  viewed = row;
  document.documentElement.classList.add("viewing");
  const wasOpen = view.open;
  if (!wasOpen) view.showModal();
  if (!wasOpen || !view.contains(document.activeElement)) view.focus({ preventScroll: true });
  if (isNew) view.scrollTop = 0;
}

function go(row) {
  if (!row) return;
  replace({ view: row.id, variant: "" });
  showView();
}

function close() {
  const id = viewed && viewed.id;
  if (keep("opened") === id) history.back();
  else {
    replace({ view: "", variant: "" });
    showView();
  }
  document.querySelector(`#results [data-id="${CSS.escape(id || "")}"]`)?.focus({ preventScroll: true });
}
