// What every page may want, none of it needed for reading: light or dark at once, moments as "12 s ago",
// text to copy, and regions that the page's stream keeps fresh.
"use strict";

const page = document.documentElement;

// ── Light or dark ───────────────────────────────────────────────────────────────────────────────

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form.theme")) return;
  event.preventDefault();
  const isDark = page.dataset.theme ? page.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  page.dataset.theme = isDark ? "light" : "dark";
  document.cookie = `ringback_theme=${page.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Lax`;
});

// ── Where one is ────────────────────────────────────────────────────────────────────────────────
// On a narrow screen the navigation is longer than the screen: the page's own entry is in sight.

const here = document.querySelector(".bar nav a[aria-current]");
if (here) here.closest("nav").scrollLeft = here.offsetLeft - (innerWidth - here.offsetWidth) / 2;

// A log that is being written is read from its end.
for (const box of document.querySelectorAll("[data-keep-scroll]")) box.scrollTop = box.scrollHeight;

// ── Moments ─────────────────────────────────────────────────────────────────────────────────────

const STEPS = [[60, "s"], [60, "min"], [24, "h"], [Infinity, "d"]];

function told(seconds) {
  let amount = Math.abs(seconds);
  if (amount < 1) return "now";
  for (const [size, unit] of STEPS) {
    if (amount < size) {
      const text = `${Math.floor(amount)} ${unit}`;
      return seconds < 0 ? `in ${text}` : `${text} ago`;
    }
    amount /= size;
  }
  return "";
}

function tellMoments(root) {
  const now = Date.now();
  for (const element of root.querySelectorAll("time[data-ago]")) {
    if (!element.title) element.title = element.textContent;
    element.textContent = told((now - Date.parse(element.dateTime)) / 1000);
  }
}

tellMoments(document);
setInterval(() => { if (!document.hidden) tellMoments(document); }, 1000);

// ── Text to copy ────────────────────────────────────────────────────────────────────────────────

for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  await navigator.clipboard.writeText(source.value ?? source.textContent);
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1500);
});

// ── Regions kept fresh ──────────────────────────────────────────────────────────────────────────
// <body>'s main says where its stream is; each event brings the regions that have changed since the last.

const stream = document.querySelector("[data-stream]");
const state = document.querySelector("[data-stream-state]");
let source = null;
let last = "";
let closing = null;

function replaceRegion(name, html) {
  const region = document.getElementById(`live-${name}`);
  if (!region) return;
  const made = new DOMParser().parseFromString(html, "text/html").body;
  const focused = region.contains(document.activeElement) ? document.activeElement.id : "";
  const open = [...region.querySelectorAll("details[open][id]")].map((each) => each.id);
  const ticked = [...region.querySelectorAll("input:checked[id]")].map((each) => each.id);
  const scrolled = [...region.querySelectorAll("[data-keep-scroll]")].map((each) =>
    [each.id, each.scrollTop, each.scrollTop + each.clientHeight >= each.scrollHeight - 4]);
  region.replaceChildren(...made.childNodes);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  for (const id of ticked) { const box = document.getElementById(id); if (box) box.checked = true; }
  for (const [id, top, atEnd] of scrolled) {
    const box = document.getElementById(id);
    if (box) box.scrollTop = atEnd ? box.scrollHeight : top;
  }
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  for (const button of region.querySelectorAll("[data-copy]")) button.hidden = false;
  tellMoments(region);
  region.dispatchEvent(new CustomEvent("region", { bubbles: true }));
}

function say(word, words = word) {
  if (!state) return;
  state.dataset.streamState = word;
  state.querySelector("[data-words]").textContent = words;
}

function listen() {
  if (!stream || source) return;
  const url = new URL(stream.dataset.stream, location.href);
  if (last) url.searchParams.set("seen", last);
  source = new EventSource(url);
  source.onopen = () => say("live");
  source.onmessage = (event) => {
    last = event.lastEventId;
    const regions = JSON.parse(event.data);
    for (const name in regions) replaceRegion(name, regions[name]);
  };
  source.onerror = () => {
    say("reconnecting");
    if (source.readyState !== EventSource.CLOSED) return;
    source = null;  // a refused stream is not tried again by itself
    whyRefused((words) => say("off", words), listen);
  };
}

// A stream is refused without a word: the page itself says whether it is there to be shown, and to whom.
async function whyRefused(over, again) {
  const answer = await fetch(location.href, { method: "HEAD", headers: { Accept: "text/html" } }).catch(() => null);
  if (answer && (answer.status === 404 || answer.status === 410)) over("gone");
  else if (answer?.redirected) over("logged out: reload");
  else setTimeout(again, 2000);  // the server is down, or has as many readers as it can have
}

function hush() { source?.close(); source = null; }

document.addEventListener("visibilitychange", () => {
  clearTimeout(closing);
  if (document.hidden) closing = setTimeout(hush, 5000);
  else listen();
});
addEventListener("pagehide", hush);
addEventListener("pageshow", listen);
listen();

// ── Menus ───────────────────────────────────────────────────────────────────────────────────────
// Closed by Escape, which leads back to what opened them, and by whatever is done elsewhere.

function closeMenus(but) {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(but)) menu.open = false;
}
for (const kind of ["click", "focusin"]) document.addEventListener(kind, (event) => closeMenus(event.target));
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  document.activeElement?.closest("details.menu[open]")?.querySelector("summary").focus();
  closeMenus(null);
});

// ── Keyboard ────────────────────────────────────────────────────────────────────────────────────

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
  if (event.key === "/") {
    const field = document.querySelector("input[type=search]");
    if (field) { event.preventDefault(); field.focus(); field.select(); }
  }
});
