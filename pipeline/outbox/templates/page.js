"use strict";

// The data is text of whoever dropped a file: it is shown as text, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const PAGE = 60; // results that are added at a time
const byId = new Map(data.results.map((row) => [row.id, row]));

function el(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") node.className = value;
    else if (key === "style") for (const [name, v] of Object.entries(value)) node.style.setProperty(name, v);
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

const $ = (id) => document.getElementById(id);
const plural = (count, word) => `${count.toLocaleString()} ${word}${count === 1 ? "" : "s"}`;
const path = (...parts) => parts.map((part) => part.split("/").map(encodeURIComponent).join("/")).join("/");
const last = (text) => (text || "").split("/").pop();

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const time = (text) => (text ? clock.format(new Date(text)) : "");

function day(text) {
  const date = new Date(text);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 864e5);
  return days === 0 ? "Today" : days === 1 ? "Yesterday" : dayFormat.format(date);
}

function when(text) {
  if (!text) return "";
  const name = day(text);
  return name === "Today" ? time(text) : `${name}, ${time(text)}`;
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (minutes < 90) return `${minutes} min`;
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

// The painting of a style folder is named as the folder is: wave/style.jpg is "wave".
function painting(file) {
  const parts = (file || "").split("/");
  const name = parts.pop();
  return /^style\.\w+$/i.test(name) && parts.length ? parts.pop() : name;
}

const like = (row) => {
  const styles = (row.styles || []).map(painting).join(" + ");
  return row.content && styles ? `${last(row.content)} like ${styles}` : last(row.content) || styles;
};

// What is shown lies in the address, so that it outlives a reload and can be sent to somebody.
const state = () => new URLSearchParams(location.hash.slice(1));
function address(changes) {
  const params = state();
  for (const [key, value] of Object.entries(changes)) value ? params.set(key, value) : params.delete(key);
  return `#${params}`;
}
const replace = (changes) => history.replaceState(history.state, "", address(changes));

function keep(key, value) {
  try {
    if (value !== undefined) sessionStorage.setItem(`stylistic.${key}`, JSON.stringify(value));
    return JSON.parse(sessionStorage.getItem(`stylistic.${key}`));
  } catch {
    return null; // a browser that keeps nothing for files
  }
}

// --- now -----------------------------------------------------------------------------------------------------------

// Seconds since the page was written: by this clock alone once that has been seen to change, as no two clocks agree.
function silence() {
  const key = `written.${location.pathname}`;
  const seen = keep(key);
  const at = !seen ? Math.min(Date.now(), new Date(data.written)) : seen.written === data.written ? seen.at : Date.now();
  keep(key, { written: data.written, at });
  return (Date.now() - at) / 1000;
}

function runnerLine({ runner, running, queue, paused }) {
  const parts = [];
  if (paused) parts.push(`Paused by ${paused.by}${paused.at ? ` since ${when(paused.at)}` : ""}: nothing is started until stylistic resume`);
  const devices = running.filter((job) => job.device).map((job) => `${job.device}, ${job.precision}`);
  const device = [...new Set(devices)].join("; ");
  if (runner.state === "alive") {
    const at = running.length ? (device ? `Painting on ${device}` : "Loading") : queue.count && !paused ? "Starting" : "Watching the inbox";
    const silent = silence();
    if (silent > 2 * data.next + 120)
      parts.push(`Last heard of ${duration(silent)} ago: the runner may have been killed. Start it again with stylistic watch`);
    else parts.push(at);
  } else if (runner.state === "ended") {
    parts.push(`At rest since ${when(runner.ended_at)}`);
  } else if (runner.state === "died") {
    parts.push("The runner ended without a word. Start it again with stylistic watch; nothing is lost");
  } else parts.push("No runner has worked here yet");
  parts.push(`${data.counts.done.toLocaleString()} done, ${data.counts.failed.toLocaleString()} failed`);
  return el("span", {}, el("i", { class: `dot ${runner.state}`, "aria-hidden": "true" }), parts.join(" · "));
}

function runningCard(job) {
  const share = job.steps ? Math.min(1, job.step / job.steps) : 0;
  const stages = { starting: "loading TensorFlow and the weights", preparing: "preparing its images" };
  const facts =
    job.stage === "painting"
      ? [
          job.frames
            ? `frame ${job.frame.toLocaleString()} of ${job.frames.toLocaleString()}`
            : `step ${job.step.toLocaleString()} of ${job.steps.toLocaleString()}`,
          job.scale && `${job.scale} px`,
          job.seconds_left !== null && `about ${duration(job.seconds_left)} left`,
        ]
      : [stages[job.stage]];
  return el(
    "article",
    { class: "running" },
    job.preview
      ? el("img", { src: job.preview, alt: `${job.name} as it is now`, class: "live" })
      : el("div", { class: "live none" }),
    el(
      "div",
      { class: "what" },
      el("h3", {}, job.name),
      el("p", { class: "soft" }, like(job)),
      el(
        "div",
        { class: "progress", role: "progressbar", "aria-valuenow": Math.round(share * 100), "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": job.name },
        el("div", { style: { width: `${share * 100}%` } }),
      ),
      el("p", { class: "soft" }, facts.filter(Boolean).join(" · ")),
      el("p", { class: "soft" }, [job.device, job.started_at && `since ${when(job.started_at)}`].filter(Boolean).join(" · ")),
    ),
  );
}

function takes(job) {
  const memory = job.memory_bytes && `${(job.memory_bytes / 1e9).toFixed(1)} GB of memory`;
  return [like(job), job.seconds_left !== null && `about ${duration(job.seconds_left)}`, memory].filter(Boolean).join(" · ");
}

function queueBlock(queue) {
  if (!queue.count) return null;
  const left = queue.seconds_left === null ? "" : `, about ${duration(queue.seconds_left)}`;
  const more = queue.count - queue.jobs.length;
  return el(
    "details",
    { class: "queue", id: "queue", open: keep("queue") },
    el("summary", {}, `${queue.count.toLocaleString()} queued${left}`),
    el("ol", {}, queue.jobs.map((job) => el("li", {}, job.name, " ", el("span", { class: "soft" }, takes(job))))),
    more > 0 ? el("p", { class: "soft" }, `and ${more.toLocaleString()} more`) : null,
  );
}

// Lines that are told, and how many there are besides.
function notes(title, kind, lines, untold = 0) {
  if (!lines.length) return null;
  const list = (some) => el("ul", {}, some.map((line) => el("li", {}, line)));
  const rest = lines.length > 5 || untold ? lines.slice(4) : [];
  const more = () => el("details", { id: kind, open: keep(kind) }, el("summary", {}, `${(rest.length + untold).toLocaleString()} more`), list(rest), untold ? el("p", { class: "soft" }, `and ${untold.toLocaleString()} more`) : null);
  return el("div", { class: `notes ${kind}` }, el("h2", {}, title), list(lines.slice(0, lines.length - rest.length)), rest.length || untold ? more() : null);
}

function showNow() {
  const { status } = data;
  $("runner").replaceChildren(runnerLine(status));
  const waits = status.waiting.map((one) => [el("b", {}, one.name), `: ${one.reason}`]);
  const work = [...status.running.map(runningCard), queueBlock(status.queue)];
  const notices = [
    notes("Something is wrong here", "bad", status.faults),
    notes("Waiting in the inbox", "waits", waits, status.more_waiting),
    notes("Not understood", "unknown", status.unknown),
    notes("Dropped again", "repeated", status.repeated),
  ];
  const columns = [work, notices].map((parts) => parts.filter(Boolean)).filter((parts) => parts.length);
  $("now").replaceChildren(...columns.map((parts) => el("div", {}, parts)));
}

// --- results -------------------------------------------------------------------------------------------------------

for (const row of data.results)
  row.text = [row.name, row.content, ...(row.styles || []), row.status, row.preset].filter(Boolean).join(" ").normalize().toLowerCase();

let found = [];
let shown = 0;
let dayShown = "";

function picture(row) {
  return row.previews.includes("picture") ? path(row.id, "previews/picture.webp") : row.shows && path(row.id, row.shows);
}

function card(row) {
  const ratio = row.width && row.height ? Math.min(3, Math.max(0.5, row.width / row.height)) : 4 / 3;
  const source = picture(row);
  const none = () => el("div", { class: "none" }, "no preview");
  const words = row.variants ? plural(row.variants.length, "variant") : (row.styles || []).map((s) => painting(s).replace(/\.\w+$/, "")).join(" + ");
  return el(
    "a",
    { class: "card", href: address({ view: row.id }), "data-id": row.id, style: { "--ratio": ratio.toFixed(4) } },
    source
      ? el("img", { src: source, alt: "", loading: "lazy", decoding: "async", class: row.variants && "sheet", onerror: (event) => event.target.replaceWith(none()) })
      : none(),
    el("span", { class: "name" }, row.name),
    el("span", { class: "soft" }, [words, time(row.at)].filter(Boolean).join(" · ")),
  );
}

function todo(row) {
  if (row.status === "cancelled") return []; // the reason says it
  const retry = el("code", {}, `stylistic retry ${/\s/.test(row.id) ? `'${row.id}'` : row.id}`);
  if (!row.dropped) return ["Mend what it says, then run ", retry];
  const dropped = el("a", { href: path(row.id, row.dropped) }, row.dropped);
  return ["If the manifest is wrong, mend ", dropped, " and drop it again; if it is something else, mend that and run ", retry];
}

function failure(row) {
  return el(
    "li",
    { "data-id": row.id, class: row.status },
    el("a", { class: "name", href: address({ view: row.id }) }, row.name),
    el("span", { class: "soft" }, when(row.at)),
    el("p", { class: "reason" }, row.error || "It failed without a reason."),
    el("p", { class: "soft" }, todo(row)),
  );
}

function showMore() {
  const grid = $("results");
  grid.querySelector(".rest:last-child")?.remove();
  for (const row of found.slice(shown, shown + PAGE)) {
    const its = day(row.at);
    if (its !== dayShown) grid.append(el("div", { class: "rest" }), el("h2", { class: "day" }, its));
    dayShown = its;
    grid.append(card(row));
  }
  shown = Math.min(found.length, shown + PAGE);
  grid.append(el("div", { class: "rest" }));
  $("more").hidden = shown >= found.length;
  $("more").textContent = `${(found.length - shown).toLocaleString()} more below`;
}

function showResults(atLeast) {
  const params = state();
  const words = (params.get("q") || "").normalize().toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = params.get("state") || "";
  const matching = data.results.filter((row) => (!wanted || row.status === wanted) && words.every((word) => row.text.includes(word)));
  const failed = matching.filter((row) => row.status !== "done");
  found = matching.filter((row) => row.status === "done");
  const few = wanted || words.length ? 200 : 3;
  const kinds = [...new Set(failed.map((row) => row.status))];
  const counted = kinds.map((kind) => `${failed.filter((row) => row.status === kind).length.toLocaleString()} ${kind}`);
  $("failures").replaceChildren(
    ...(failed.length
      ? [
          el("h2", { class: kinds.join(" ") }, counted.join(", ")),
          el("ul", {}, failed.slice(0, few).map(failure)),
          failed.length > few
            ? el("p", {}, few > 3 ? `and ${(failed.length - few).toLocaleString()} more` : kinds.flatMap((kind) => [el("a", { href: address({ state: kind }) }, `Show all ${kind}`), " "]))
            : null,
        ].filter(Boolean)
      : []),
  );
  shown = 0;
  dayShown = "";
  $("results").replaceChildren();
  do showMore();
  while (shown < Math.min(atLeast || 0, found.length));
  if (!matching.length)
    $("results").replaceChildren(el("p", { class: "empty" }, data.results.length ? "Nothing matches." : "No results yet. What is dropped into the inbox appears here."));
  showStates(wanted);
}

function showStates(wanted) {
  const counts = { "": data.results.length, ...data.counts };
  const names = { "": "All", done: "Done", failed: "Failed", cancelled: "Cancelled" };
  const buttons = Object.entries(counts).filter(([key, count]) => count || key === "" || key === wanted);
  redraw(
    $("states"),
    ...buttons.map(([key, count]) =>
      el(
        "button",
        { type: "button", "data-id": `state-${key}`, "aria-pressed": String(key === wanted), onclick: () => (replace({ state: key }), showResults()) },
        names[key] || key,
        el("span", { class: "count" }, count.toLocaleString()),
      ),
    ),
  );
}
