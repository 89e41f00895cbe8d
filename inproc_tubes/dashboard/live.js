// Replaces what is in <main> every two seconds. Without it the page has its link "Refresh".
"use strict";
const button = document.getElementById("live");
const focusable = "a, button, summary";
let live = true;

async function update() {
  const main = document.querySelector("main");
  const active = document.activeElement;
  // Do not take away what somebody is about to use.
  const busy = document.hidden || main.querySelector("details[open]")
    || (main.contains(active) && active.matches("input, select"))
    || String(getSelection());
  if (!live || busy) return;
  const answer = await fetch(location.href, { cache: "no-store", credentials: "same-origin" });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = page.querySelector("main");
  if (!next || !live || document.activeElement !== active) return;
  const focused = main.contains(active) ? active.outerHTML : null;
  main.replaceWith(next);
  const found = [...next.querySelectorAll(focusable)].find((one) => one.outerHTML === focused);
  if (found) found.focus({ preventScroll: true });
}

async function again() {
  try { await update(); } catch { /* the server is away: it may come back */ }
  setTimeout(again, 2000);
}

button.hidden = false;
button.addEventListener("click", () => {
  live = !live;
  button.setAttribute("aria-pressed", String(live));
});
setTimeout(again, 2000);
