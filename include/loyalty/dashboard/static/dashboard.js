// Numbers that move: the page is fetched again, and what differs takes the place of what was there. Plots follow the theme.
"use strict";

const PULSE = 2000;

function theme() {
  let dark = matchMedia("(prefers-color-scheme: dark)").matches;
  try {
    const host = window.parent.document.documentElement;
    if (window.parent !== window && (host.classList.contains("dark") || host.classList.contains("light"))) {
      dark = host.classList.contains("dark");
    }
  } catch { /* framed by nobody we know */ }
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

function draw(place) {
  const figure = JSON.parse(place.querySelector("script").textContent);
  const style = getComputedStyle(document.body);
  const axis = { gridcolor: style.getPropertyValue("--line"), zerolinecolor: style.getPropertyValue("--line"), automargin: true };
  const layout = {
    ...figure.layout, template: undefined, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: style.color, family: style.fontFamily, size: 12 }, margin: { t: 10, r: 10, b: 40, l: 50 }, height: 260,
    xaxis: { ...axis, ...figure.layout.xaxis }, yaxis: { ...axis, ...figure.layout.yaxis },
    legend: { orientation: "h", y: 1, yanchor: "bottom" }, separators: place.dataset.separators,
  };
  let surface = place.querySelector(".surface");
  if (!surface) {
    surface = document.createElement("div");
    surface.className = "surface";
    place.append(surface);
  }
  Plotly.react(surface, figure.data, layout, { displayModeBar: false, responsive: true });
}

function drawAll() {
  if (window.Plotly) document.querySelectorAll("[data-plot]").forEach(draw);
}

function take(fresh) {
  const [mine, theirs] = [document, fresh].map((page) => page.querySelector("main [data-over]"));
  if (mine.dataset.kind !== theirs.dataset.kind) {
    mine.replaceWith(document.adoptNode(theirs));
    drawAll();
    return;
  }
  mine.dataset.over = theirs.dataset.over;
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (!other) continue;
    if (part.hasAttribute("data-plot")) {
      const [mine, theirs] = [part.querySelector("script"), other.querySelector("script")];
      if (mine.textContent !== theirs.textContent) {
        mine.textContent = theirs.textContent;
        draw(part);
      }
    } else if (part.innerHTML !== other.innerHTML) {
      part.innerHTML = other.innerHTML;
    }
  }
}

async function refresh() {
  const isOver = () => document.querySelector("main [data-over]")?.dataset.over;
  if (isOver() !== "no") return;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (answer.ok) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      take(fresh);
    }
    document.body.classList.toggle("stale", !answer.ok);
  } catch {
    document.body.classList.add("stale");
  }
  setTimeout(refresh, PULSE);
}

// Inside the host's frame a link to one of the host's own pages is followed by the host.
function follow(click) {
  const link = click.target.closest?.("a[data-host]");
  if (!link || window.parent === window) return;
  click.preventDefault();
  const theirs = window.parent.document.createElement("a");
  theirs.href = link.href;
  window.parent.document.body.append(theirs);
  theirs.click();
  theirs.remove();
}

theme();
document.addEventListener("click", follow);
// What takes longer comes after the page.
async function fill(place) {
  const answer = await fetch(place.dataset.fetch, { credentials: "same-origin" });
  if (answer.ok) place.innerHTML = await answer.text();
  else place.textContent = "This could not be counted within ten seconds.";
  if (window.Plotly) place.querySelectorAll("[data-plot]").forEach(draw);
}

addEventListener("DOMContentLoaded", () => {
  drawAll();
  document.querySelectorAll("[data-fetch]").forEach(fill);
  setTimeout(refresh, PULSE);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { theme(); drawAll(); });
  try {
    new MutationObserver(() => { theme(); drawAll(); })
      .observe(window.parent.document.documentElement, { attributes: true, attributeFilter: ["class"] });
  } catch { /* framed by nobody we know */ }
});
