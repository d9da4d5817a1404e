// What only the browser can do, with one set of listeners for the whole page:
//   - hovering a chart of a time window marks the same moment in the others
//   - dragging over one asks the server for that range, a double click for the range before
//   - the browser's Back returns to the state before a control was changed
//   - a click on a state or an uptime asks the server to explain it, and one on a column's head to sort by it
//   - tooltips that keyboards and fingers reach, buttons that copy, and charts saved as PNG
// Streamlit calls the function below repeatedly; the listeners are added once.

const charts = () => [...document.querySelectorAll(".js-plotly-plot")].filter((chart) => axis(chart));
const axis = (chart) => {
  const layout = chart._fullLayout;
  return layout && layout.meta && layout.meta.moments ? layout.xaxis : undefined;
};

// -- the same moment in all charts

function mark(chart, left) {
  let line = chart.querySelector(".u-moment");
  if (left === null) return line && line.remove();
  if (!line) {
    line = document.createElement("div");
    line.className = "u-moment";
    chart.querySelector(".svg-container").append(line);
  }
  const size = chart._fullLayout._size;
  line.style.cssText = `left:${left}px;top:${size.t}px;height:${size.h}px`;
}

// the axis of a chart of days has categories, each of which is a day
function place(x, moment) {
  if (x.type !== "category") return x.l2p(moment);
  const number = x._categories.indexOf(new Date(moment).toISOString().slice(0, 10));
  return number < 0 ? NaN : x.d2p(x._categories[number]);
}

function momentUnder(chart, clientX) {
  const x = axis(chart);
  const at = clientX - chart.getBoundingClientRect().left - x._offset;
  if (at < 0 || at > x._length) return null;
  if (x.type !== "category") return x.p2l(at);
  const name = x._categories[Math.round(x.p2l(at))];
  return name ? Date.parse(`${name}T12:00Z`) : null;
}

let asked = 0;
function hover(event) {
  const chart = event.target.closest && event.target.closest(".js-plotly-plot");
  cancelAnimationFrame(asked);
  asked = requestAnimationFrame(() => {
    const moment = chart && axis(chart) ? momentUnder(chart, event.clientX) : null;
    for (const other of charts()) {
      const x = axis(other);
      const at = moment === null || other === chart ? NaN : place(x, moment);
      mark(other, at >= 0 && at <= x._length ? x._offset + at : null);
    }
  });
}

// -- dragging a range

const heard = new WeakSet();
function listen(event, tell) {
  const chart = event.target.closest && event.target.closest(".js-plotly-plot");
  const x = chart && axis(chart);
  if (!x || x.type !== "date" || heard.has(chart)) return;
  heard.add(chart);
  chart.on("plotly_relayout", (change) => {
    const range = change["xaxis.range"] || [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    if (range[0] !== undefined) tell("dragged", range);
  });
  chart.on("plotly_doubleclick", () => tell("reset", true));
}

// -- Back and Forward: Streamlit follows them, but writes the value of a control over the current history entry

function keepHistory() {
  let touched = 0;
  for (const kind of ["pointerdown", "pointerup", "keydown"])
    addEventListener(kind, () => (touched = performance.now()), true);
  const push = history.pushState.bind(history);
  const replace = history.replaceState.bind(history);
  let pushed = -1; // the input that caused the newest entry: one input is one entry, however often the address changes
  const write = (asStreamlit) => (state, title, url) => {
    const to = new URL(url ?? location.href, location.href);
    const sameEntry = pushed === touched;
    const changes = to.search !== location.search && performance.now() - touched < 2000;
    const isNew = asStreamlit === push || changes;
    if (isNew) pushed = touched;
    (isNew && !sameEntry ? push : replace)(state, title, url);
  };
  history.pushState = write(push);
  history.replaceState = write(replace);
}

// -- tooltips

function tooltips() {
  const tip = document.createElement("div");
  tip.className = "u-tip";
  tip.setAttribute("role", "tooltip");
  let holder = null;
  const show = (event) => {
    const found = event.target.closest && event.target.closest("[data-tip]");
    if (!found || (event.type === "click" && found.dataset.why)) return hide();
    if (found === holder) return;
    holder = found;
    tip.textContent = found.dataset.tip;
    if (found.dataset.why && found.dataset.tip !== "Why?") tip.textContent += " (Click for details.)";
    (found.closest("[role=dialog]") || document.querySelector(".stApp")).append(tip);
    const box = found.getBoundingClientRect();
    const wide = tip.offsetWidth;
    const left = Math.min(Math.max(8, box.left + box.width / 2 - wide / 2), innerWidth - wide - 8);
    const above = box.top - tip.offsetHeight - 8;
    tip.style.cssText = `left:${left}px;top:${above < 56 ? box.bottom + 8 : above}px`;
  };
  const hide = () => {
    holder = null;
    tip.remove();
  };
  for (const kind of ["pointerover", "focusin", "click"]) document.addEventListener(kind, show);
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", hide, true);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector(".u-menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

// -- the focus stays on a button or link when its part of the page is refreshed

function keepFocus() {
  let held = null; // only what a keyboard reached: a tooltip comes with the focus
  const isHeld = (element) => element.closest(".u") && element.matches(":focus-visible");
  document.addEventListener("focusin", (event) => (held = isHeld(event.target) ? event.target : null));
  const isTwin = (other) =>
    other.dataset.why === held.dataset.why && other.dataset.sort === held.dataset.sort && other.href === held.href;
  new MutationObserver(() => {
    if (!held || held.isConnected || document.activeElement !== document.body) return;
    const twin = [...document.querySelectorAll(`.u ${held.tagName}`)].find(isTwin);
    if (twin) twin.focus({ preventScroll: true });
  }).observe(document.body, { childList: true, subtree: true });
}

// -- copying, and saving charts

async function copy(event) {
  const at = (what) => event.target.closest && event.target.closest(what);
  for (const menu of document.querySelectorAll(".u-menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  const code = at(".u-copy");
  const item = at("[data-copy]");
  const save = at(".u-png");
  if (save) return savePng(save);
  if (!code && !item) return;
  const base = new URL(".", location.href).href;
  const text = code
    ? code.parentElement.querySelector("pre").innerText
    : item.dataset.copy.replaceAll("{page}", () => location.href).replaceAll("{base}", () => base);
  await navigator.clipboard.writeText(text);
  const label = (code || item).textContent;
  (code || item).textContent = "Copied";
  setTimeout(() => {
    (code || item).textContent = label;
    if (item && item.closest(".u-menu")) item.closest(".u-menu").open = false;
  }, 1200);
}

// a menu opens to the left of its button's right edge, unless it would leave the screen there
function keepOnScreen(event) {
  const box = event.target.matches(".u-menu[open]") && event.target.lastElementChild;
  if (!box) return;
  box.style.translate = "";
  const { left } = box.getBoundingClientRect();
  if (left < 8) box.style.translate = `${8 - left}px`;
}

// the range in the page's address, for a chart without a time axis
function pageRange() {
  const asked = new URLSearchParams(location.search);
  if (asked.get("range") === "custom")
    return ["from", "to"].map((end) => (asked.get(end) || "").replace(/(....)(..)(..T..)(..)Z/, "$1-$2-$3:$4 UTC"));
  return ["the last", asked.get("range") || "24 h"];
}

function rangeOf(chart) {
  const x = chart && chart._fullLayout.xaxis;
  if (x && x.type === "date") {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    return x.range.map((end) => String(end).slice(0, 16).replace("T", " ")).join(" to ") + ` (${zone})`;
  }
  if (x && x.type === "category" && x._categories.length) return `${x._categories[0]} to ${x._categories.at(-1)}`;
  const [since, until] = pageRange();
  return since === "the last" ? `${since} ${until}` : `${since} to ${until}`;
}

const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

const source = (range) => `Source: Uptoken, ${location.host} · ${range} · saved ${new Date().toISOString().slice(0, 10)}`;

function download(image, title) {
  const link = document.createElement("a");
  link.href = image;
  link.download = `${title.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 80)}.png`;
  link.click();
}

// a card that is drawn in HTML: its copy in an SVG, which a canvas takes as an image; nothing is loaded from outside
async function saveFigure(button) {
  const card = button.closest('.u-card, [class*="st-key-card_"]');
  const { width } = card.getBoundingClientRect();
  const copy = card.cloneNode(true);
  copy.style.border = "0";
  const saved = copy.querySelector(".u-png[data-figure]");
  const [heading] = [...saved.parentElement.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
  const title = button.dataset.figure;
  heading.textContent = title;
  for (const each of copy.querySelectorAll(".u-png")) each.remove();
  const note = document.createElement("div");
  note.className = "u q";
  note.style.cssText = "padding:8px 20px 10px";
  note.textContent = source(rangeOf());
  const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]);
  const style = document.createElement("style");
  style.textContent = rules.filter((rule) => !(rule instanceof CSSFontFaceRule)).map((rule) => rule.cssText).join("\n");
  const { fontSize, color, colorScheme } = getComputedStyle(card);
  const frame = document.createElement("div");
  frame.className = "stApp";
  frame.style.cssText = `position:absolute;visibility:hidden;width:${width}px;font:${fontSize}/1.6 sans-serif;color:${color};color-scheme:${colorScheme};background:var(--u-card)`;
  frame.append(copy, note);
  document.body.append(frame); // to see how high it is: an image has no web fonts, and so other lines
  const full = { width: Math.max(innerWidth, width), height: Math.ceil(frame.getBoundingClientRect().height) };
  frame.remove();
  frame.style.position = frame.style.visibility = "";
  frame.prepend(style);
  const xml = new XMLSerializer().serializeToString(frame);
  // as wide as the window, because of the style sheet's media queries
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${full.width}" height="${full.height}"><foreignObject width="100%" height="100%">${xml}</foreignObject></svg>`;
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [2 * Math.ceil(width), 2 * full.height];
  const context = canvas.getContext("2d");
  context.scale(2, 2);
  context.drawImage(image, 0, 0);
  download(canvas.toDataURL("image/png"), title);
}

async function savePng(button) {
  if (button.dataset.figure) return saveFigure(button);
  const chart = document.querySelector(`.st-key-${button.dataset.chart} .js-plotly-plot`);
  if (!chart || !window.Plotly) return;
  const full = chart._fullLayout;
  const named = chart.closest("[aria-label]") || button.closest(".u-title");
  const title = (named.getAttribute("aria-label") || named.textContent).trim();
  const lines = title.match(new RegExp(`.{1,${Math.max(30, Math.floor(full.width / 7))}}(\\s|$)`, "g")) || [title];
  const above = 18 + 18 * lines.length;
  const note = (text, y, yanchor, yshift, size) => ({
    text, x: 0, xref: "paper", xanchor: "left", xshift: 10 - full._size.l, align: "left", showarrow: false,
    y, yref: "paper", yanchor, yshift, font: { size, color: full.font.color },
  });
  const layout = {
    ...chart.layout,
    width: full.width,
    height: full.height + above + 22,
    paper_bgcolor: getComputedStyle(button.closest('[class*="st-key-card_"]') || document.body).backgroundColor,
    margin: { ...chart.layout.margin, t: full._size.t + above, b: full._size.b + 22 },
    annotations: [
      ...(chart.layout.annotations || []),
      note(lines.map((line) => plain(line.trim())).join("<br>"), 1, "bottom", full._size.t + 6, 14),
      note(plain(source(rangeOf(chart))), 0, "top", -full._size.b - 2, 11),
    ],
  };
  const image = await window.Plotly.toImage({ data: chart.data, layout }, { format: "png", scale: 2, width: layout.width, height: layout.height });
  download(image, title);
}

// -- explaining a state or an uptime, and sorting by a column: the server does it on a click

function ask(event, tell) {
  for (const name of ["why", "sort"]) {
    const found = event.target.closest && event.target.closest(`[data-${name}]`);
    if (found) tell(name, found.dataset[name]);
  }
}

export default function (component) {
  if (!window.uptoken) {
    window.uptoken = {};
    keepHistory();
    tooltips();
    keepFocus();
    const tell = (name, value) => window.uptoken.tell(name, value);
    document.addEventListener("pointermove", hover);
    document.addEventListener("pointerover", (event) => listen(event, tell));
    document.addEventListener("click", copy);
    document.addEventListener("toggle", keepOnScreen, true);
    document.addEventListener("click", (event) => ask(event, tell));
  }
  window.uptoken.tell = component.setTriggerValue;
}
