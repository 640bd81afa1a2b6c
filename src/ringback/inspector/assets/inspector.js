// The inbox page while it is open: rows as they come, each message's row in one place. Not needed for reading.
"use strict";

{
  const place = document.querySelector("[data-rows]");
  const MOST_ROWS = 100;
  const CALM = 8;  // rows at once, up to which each is seen to arrive
  const state = document.querySelector("[data-stream-state]");
  const body = document.getElementById("rows");
  const waiting = new Map();
  let after = "";
  let source = null;
  let drawing = 0;
  let passed = 0;
  let closing = 0;

  const say = (word, words) => {
    if (!state) return;
    state.dataset.streamState = word;
    state.querySelector("[data-words]").textContent = words;
  };

  // One row of the server's own making; a template runs nothing, and the policy of the page forbids it besides.
  const made = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content.querySelector("tr");
  };

  const draw = () => {
    drawing = 0;
    const focused = document.activeElement?.closest?.("#rows tr")?.dataset.key;
    const isCalm = waiting.size <= CALM;
    for (const [key, told] of waiting) {
      const before = body.querySelector(`tr[data-key="${CSS.escape(key)}"]`);
      const row = made(told.html);
      if (before && Number(before.dataset.number) >= told.number) {
        if (focused === key) continue;
        before.replaceWith(row);
      } else {
        before?.remove();
        body.prepend(row);
        if (isCalm) row.classList.add("fresh");
      }
      tellMoments(row);
    }
    waiting.clear();
    while (body.rows.length > MOST_ROWS) body.lastElementChild.remove();
    document.getElementById("none").hidden = body.rows.length > 0;
    if (passed) {
      const notice = document.getElementById("passed");
      notice.hidden = false;
      notice.querySelector("span").textContent = `${passed.toLocaleString("en").replaceAll(",", "\u202f")} more came faster than they could be shown.`;
    }
  };

  const soon = () => { if (!drawing) drawing = requestAnimationFrame(draw); };

  const count = (name, text) => {
    for (const each of document.querySelectorAll(`[data-count="${name}"]`)) each.textContent = text;
  };

  const size = (bytes) => {
    let amount = bytes;
    for (const unit of ["B", "KiB", "MiB", "GiB"]) {
      if (amount < 1024 || unit === "GiB") return unit === "B" || amount >= 100 ? `${Math.round(amount)} ${unit}` : `${amount.toFixed(1)} ${unit}`;
      amount /= 1024;
    }
  };

  const apart = (number) => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");

  const listen = () => {
    if (!place || source) return;
    const url = new URL(place.dataset.rows, location.href);
    if (after) url.searchParams.set("after", after);
    source = new EventSource(url);
    source.onopen = () => say("live", "live");
    source.onerror = () => {
      say("reconnecting", "reconnecting");
      if (source.readyState !== EventSource.CLOSED) return;
      source = null;  // refused: the browser does not try that again by itself
      whyRefused((words) => say("off", words), listen);
    };
    source.addEventListener("rows", (event) => {
      after = event.lastEventId;
      const told = JSON.parse(event.data);
      for (const row of told.rows) { waiting.delete(row.key); waiting.set(row.key, row); }
      passed += told.passed;
      soon();
    });
    source.addEventListener("inbox", (event) => {
      const told = JSON.parse(event.data);
      count("captured", apart(told.captured));
      count("kept", apart(told.kept));
      count("bytes", size(told.kept_bytes));
      for (const row of [...body.rows]) if (Number(row.dataset.number) <= told.dropped) row.remove();
      document.getElementById("none").hidden = body.rows.length > 0;
    });
    source.addEventListener("gone", () => { say("off", "this inbox has been deleted"); hush(); });
  };

  const hush = () => { source?.close(); source = null; };

  if (place) {
    // A page in the background lets go of its stream after a while, and says where it was when it is looked at again.
    document.addEventListener("visibilitychange", () => {
      clearTimeout(closing);
      if (document.hidden) closing = setTimeout(hush, 5000);
      else listen();
    });
    addEventListener("pagehide", hush);
    addEventListener("pageshow", listen);
    listen();
  }
}
