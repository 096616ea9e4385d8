// --- keyboard, address, refresh ------------------------------------------------------------------------------------

const search = $("search");
let touched = 0; // when somebody last did something here

function onSearch() {
  replace({ q: search.value.trim() });
  showResults();
}

function onAddress() {
  const was = viewed;
  search.value = state().get("q") || "";
  showView();
  if (!was && viewed) keep("opened", viewed.id); // so that closing goes back
  if (!viewed) {
    keep("opened", null);
    if (!was) showResults(shown);
  }
}

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const isField = event.target.matches("input, textarea, select, video");
  if (viewed && !isField && (event.key === "ArrowLeft" || event.key === "ArrowRight"))
    return go(neighbours(viewed.id)[event.key === "ArrowLeft" ? 0 : 1]);
  if (viewed || isField) {
    if (event.key === "Escape" && event.target === search) (search.value = ""), onSearch();
    return;
  }
  if (event.key === "/") return event.preventDefault(), search.focus();
  const card = event.target.closest(".card");
  if (!card || !event.key.startsWith("Arrow")) return;
  const cards = [...document.querySelectorAll(".card")];
  const at = cards.indexOf(card);
  const next = { ArrowLeft: cards[at - 1], ArrowRight: cards[at + 1], ArrowUp: nearest(cards, card, -1), ArrowDown: nearest(cards, card, 1) }[event.key];
  if (next) event.preventDefault(), next.focus();
}

// What tells a control from the others, however often it is drawn anew.
const named = (control) =>
  [control.closest("[data-id], [id]")?.dataset.id || control.closest("[id]")?.id, control.localName, control.getAttribute("aria-label") || control.getAttribute("href")].join();

function focusOn(name) {
  const control = [...document.querySelectorAll("a, button, input, summary, video")].find((one) => named(one) === name);
  control?.focus({ preventScroll: true });
}

// Draw anew what is in a box; what has the focus in it keeps it.
function redraw(box, ...children) {
  const held = box.contains(document.activeElement) && named(document.activeElement);
  box.replaceChildren(...children);
  if (held) focusOn(held);
}

// The card above or below another one.
function nearest(cards, card, direction) {
  const here = card.getBoundingClientRect();
  const middle = here.left + here.width / 2;
  let best = null;
  for (const other of cards) {
    const there = other.getBoundingClientRect();
    const down = (there.top - here.top) * direction;
    if (down < 10) continue;
    const far = down * 4 + Math.abs(there.left + there.width / 2 - middle);
    if (!best || far < best.far) best = { far, other };
  }
  return best && best.other;
}

function remember() {
  const first = [...document.querySelectorAll(".card")].find((card) => card.getBoundingClientRect().bottom > 0);
  const anchor = first && scrollY > 0 ? { id: first.dataset.id, top: first.getBoundingClientRect().top } : null;
  keep("scroll", { y: scrollY, anchor, shown, view: view.scrollTop });
  keep("focus", [named(document.activeElement), search.selectionStart]);
  const film = view.querySelector("video[controls]");
  keep("film", film && [film.getAttribute("src"), film.currentTime]);
  for (const details of document.querySelectorAll("details[id]")) keep(details.id, details.open);
}

function recall() {
  const place = keep("scroll") || {};
  showResults(place.shown);
  showView();
  scrollTo(0, place.y || 0);
  const anchor = place.anchor && document.querySelector(`.card[data-id="${CSS.escape(place.anchor.id)}"]`);
  if (anchor) scrollBy(0, anchor.getBoundingClientRect().top - place.anchor.top);
  view.scrollTop = place.view || 0;
  const film = view.querySelector("video[controls]");
  const [src, seconds] = keep("film") || [];
  if (film && film.getAttribute("src") === src) film.currentTime = seconds;
  const [control, at] = keep("focus") || [];
  focusOn(control);
  if (document.activeElement === search) search.setSelectionRange(at, at);
}

// The page is written anew while a job runs; who is in the middle of something is not interrupted.
function refresh() {
  const isWatching = document.fullscreenElement || [...document.querySelectorAll("video")].some((video) => !video.paused);
  const isBusy = isWatching || Date.now() - touched < 1500 || document.hidden || document.querySelector(":active");
  if (isBusy) setTimeout(refresh, 500);
  else location.reload();
}

history.scrollRestoration = "manual";
search.value = state().get("q") || "";
search.addEventListener("input", onSearch);
addEventListener("hashchange", onAddress);
addEventListener("keydown", onKey);
addEventListener("pagehide", remember);
for (const event of ["pointerdown", "keydown", "input", "wheel", "touchmove"])
  addEventListener(event, () => (touched = Date.now()), { passive: true });
view.addEventListener("cancel", (event) => (event.preventDefault(), close()));
view.addEventListener("close", () => document.documentElement.classList.remove("viewing"));
view.addEventListener("click", (event) => event.target === view && close());
new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting) && shown < found.length) showMore();
}, { rootMargin: "800px" }).observe($("more"));
addEventListener("scroll", () => {
  if (shown < found.length && $("more").getBoundingClientRect().top < innerHeight + 800) showMore();
}, { passive: true });
showNow();
recall();
document.title = data.counts.failed ? `Stylistic: ${plural(data.results.length, "result")}, ${data.counts.failed} failed` : `Stylistic: ${plural(data.results.length, "result")}`;
if (data.refresh) setTimeout(refresh, data.refresh * 1000);
