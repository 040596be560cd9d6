// What the page does besides its timelines: opening, filtering, keyboard, colours, print.

// ---------------------------------------------------------------- cards

const timelines = new Map();

// A timeline is made when its card is open and near the window.
const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) build(target);
}, { rootMargin: "400px" });

function build(figure) {
  if (timelines.has(figure)) return;
  near.unobserve(figure);
  timelines.set(figure, new Timeline(figure));
}

for (const figure of $$("[data-timeline]")) near.observe(figure);

function reveal() {
  const id = decodeURIComponent(location.hash.slice(1));
  const target = id && document.getElementById(id);
  if (!target) return;
  const card = target.closest("details.card");
  if (card) {
    if (card.hidden) resetFilters();
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      fold.open = true;
    }
  }
  target.scrollIntoView();
  const focus = card && target === card ? $("summary", card) : null;
  focus?.focus({ preventScroll: true });
}
window.addEventListener("hashchange", reveal);

// Following the same link twice does not change the address, but must lead there all the same.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  const href = link?.getAttribute("href") ?? "";
  if (href.startsWith("#") && href === location.hash) reveal();
});

// ---------------------------------------------------------------- filters

const filters = $("#filters");
const index = JSON.parse(block("index") ?? "[]");
const list = $("#cards");
let resetFilters = () => {};

function setUpFilters() {
  const cards = new Map(index.map((entry) => [entry, document.getElementById(entry.anchor)]));
  const words = new Map(index.map((entry) => [entry, cards.get(entry).textContent.toLowerCase()]));
  const form = filters.elements;
  const holds = (entry) =>
    (!form.state.value || entry.states.includes(form.state.value)) &&
    $$("select[data-slice]", filters).every((each) => !each.value || entry.slices[each.dataset.slice] === each.value) &&
    words.get(entry).includes(form.text.value.trim().toLowerCase());

  // Infinity - Infinity is not a number, so no subtraction here.
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

  function apply() {
    const metric = form.sort.value;
    const sign = form.sort.selectedOptions[0].dataset.direction === "higher" ? 1 : -1;
    const size = (entry) => (metric in entry.values ? sign * entry.values[metric] : Infinity);
    const ordered = metric ? [...index].sort((a, b) => compare(size(a), size(b))) : index;
    list.append(...ordered.map((entry) => cards.get(entry)));
    let shown = 0;
    for (const [entry, card] of cards) {
      card.hidden = !holds(entry);
      shown += !card.hidden;
    }
    $("output", filters).value = `${shown} of ${index.length} shown`;
  }
  resetFilters = () => { filters.reset(); apply(); };
  filters.addEventListener("input", apply);
  filters.addEventListener("submit", (event) => event.preventDefault());
  const toggle = $("[data-do=toggle-all]", filters);
  toggle.addEventListener("click", () => {
    const visible = $$("details.card:not([hidden])", list);
    const open = visible.some((card) => !card.open);
    for (const card of visible) card.open = open;
    toggle.textContent = open ? "Close all shown" : "Open all shown";
  });
  filters.hidden = false;
  apply();
}
if (filters) setUpFilters();

// ---------------------------------------------------------------- keyboard in figures

// A figure of many links is one stop for Tab; the arrow keys move inside it.
for (const figure of $$("[data-roving]")) {
  const links = $$("a", figure);
  figure.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const at = links.indexOf(event.target.closest("a"));
    if (!step || at < 0) return;
    event.preventDefault();
    const next = links[clamp(at + step, 0, links.length - 1)];
    links[at].setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  });
}

// ---------------------------------------------------------------- theme and print

const theme = $("#theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
const stored = () => { try { return localStorage.getItem("sts-eval-theme"); } catch { return null; } };
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
const label = () => { theme.textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `Use ${isDark() ? "light" : "dark"} colours`); };
if (["dark", "light"].includes(stored())) document.documentElement.dataset.theme = stored();
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  try { localStorage.setItem("sts-eval-theme", document.documentElement.dataset.theme); } catch { /* private window */ }
  label();
});
dark.addEventListener("change", label);
theme.hidden = false;
label();
for (const node of $$("[data-script-only]")) node.hidden = false;

// On paper: the cards that weigh on a failed gate, and whatever the reader has opened.
window.addEventListener("beforeprint", () => {
  for (const entry of index.filter(({ states }) => states.includes("worst") || states.includes("error")).slice(0, 12)) {
    document.getElementById(entry.anchor).open = true;
  }
  for (const figure of $$("details.card[open]:not([hidden]) [data-timeline]")) {
    build(figure);
    timelines.get(figure).draw(PAPER); // at once: nothing is drawn later on paper
  }
});
window.addEventListener("afterprint", () => timelines.forEach((timeline) => timeline.draw()));

reveal();
