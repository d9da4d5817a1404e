// What only the browser can do, with one set of listeners for the whole page:
//   - hovering a chart of a time window marks the same moment in the others
//   - dragging over one asks the server for that range, a double click for the range before
//   - whoever changed a control comes back with the browser's Back
//   - tooltips that keyboards and fingers reach, and buttons that copy
// Streamlit calls the function below again and again; the listeners are put up once.

const charts = () => [...document.querySelectorAll(".js-plotly-plot")].filter((chart) => axis(chart));
const axis = (chart) => {
  const layout = chart._fullLayout;
  return layout && layout.meta && layout.meta.moments ? layout.xaxis : undefined;
};

// -- one moment in all charts

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

// a chart of days has days for names: a moment is in one of them
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

// -- a range that was dragged

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

// -- Back and Forward: Streamlit follows them, but it writes what a control says over the entry that is there

function keepHistory() {
  let touched = 0;
  for (const kind of ["pointerdown", "pointerup", "keydown"])
    addEventListener(kind, () => (touched = performance.now()), true);
  const push = history.pushState.bind(history);
  const replace = history.replaceState.bind(history);
  let pushed = -1; // the touch that the newest entry came from: one touch is one entry, however much it writes
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
    if (!found) return hide();
    if (found === holder) return;
    holder = found;
    tip.textContent = found.dataset.tip;
    document.querySelector(".stApp").append(tip);
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
}

// -- copying

async function copy(event) {
  const button = event.target.closest && event.target.closest(".u-copy");
  if (!button) return;
  await navigator.clipboard.writeText(button.parentElement.querySelector("pre").innerText);
  button.textContent = "copied";
  setTimeout(() => (button.textContent = "copy"), 1500);
}

export default function (component) {
  if (!window.uptoken) {
    window.uptoken = {};
    keepHistory();
    tooltips();
    const tell = (name, value) => window.uptoken.tell(name, value);
    document.addEventListener("pointermove", hover);
    document.addEventListener("pointerover", (event) => listen(event, tell));
    document.addEventListener("click", copy);
  }
  window.uptoken.tell = component.setTriggerValue;
}
