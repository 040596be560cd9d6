// The page of an audit: sorting, filtering, and the evidence of a row when it is opened.

const auditTable = $("#audit-table");
if (auditTable) {
  const data = JSON.parse(block("audit-data"));
  const bodies = $$("tbody.row", auditTable);
  const text = new Map(bodies.map((body) => [body, body.textContent.toLowerCase()]));
  const form = $("#audit-filters");
  const levels = $$("[data-level]", $(".levels"));

  // ---- filter
  function filter() {
    const wanted = new Set(levels.filter((b) => b.getAttribute("aria-pressed") === "true").map((b) => b.dataset.level));
    const words = form.elements.text.value.trim().toLowerCase();
    let shown = 0;
    for (const body of bodies) {
      body.hidden = (wanted.size > 0 && !wanted.has(body.dataset.level)) || !text.get(body).includes(words);
      shown += !body.hidden;
    }
    $("output", form).value = `${shown} of ${bodies.length} shown`;
  }
  for (const button of levels) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
      filter();
    });
  }
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();

  // ---- sort
  const keys = {
    name: (body) => $("th", body).textContent.trim().toLowerCase(),
    verdict: (body) => $(".said-so", body).textContent,
  };
  const number = (body, key) => (body.dataset[key] === "" ? null : Number(body.dataset[key]));
  const place = new Map(bodies.map((body, at) => [body, at]));
  let sorted = "rank";
  let sign = 1;
  for (const button of $$("[data-sort]", auditTable)) {
    button.addEventListener("click", () => {
      const key = button.dataset.sort;
      // Ratios are looked at from the largest down, everything else from the smallest up.
      sign = key === sorted ? -sign : ["synthetic", "known", "likeness", "speech"].includes(key) ? -1 : 1;
      sorted = key;
      const value = new Map(bodies.map((body) => [body, keys[key] ? keys[key](body) : number(body, key)]));
      const order = (a, b) => {
        const [x, y] = [value.get(a), value.get(b)];
        if (x === null || y === null) return (x === null) - (y === null) || place.get(a) - place.get(b);
        return (x < y ? -sign : x > y ? sign : 0) || place.get(a) - place.get(b);
      };
      auditTable.append(...[...bodies].sort(order));
      for (const head of $$("th[aria-sort]", auditTable)) head.removeAttribute("aria-sort");
      button.closest("th").setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    });
  }

  // ---- evidence
  function node(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  // The pictures and sounds are ours by name; anything else is not followed.
  const own = (path) => (/^evidence\/r\d+\.(webp|ogg)$/.test(path ?? "") ? path : null);

  function track(seconds, name, windows, speech) {
    const [width, height, middle] = [900, 96, 48];
    const x = (s) => (clamp(s, 0, seconds) / seconds) * width;
    const reach = Math.max(2, ...windows.map(([, , v]) => Math.abs(v)));
    const y = (v) => middle - (v / reach) * (middle - 6);
    const figure = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", class: "track", role: "img", "aria-label": `log10 LR of each window by ${name}; above the line speaks for synthetic` });
    for (const [a, b] of speech) figure.append(svg("rect", { class: "speech", x: x(a), width: Math.max(1, x(b) - x(a)), y: height - 4, height: 4 }));
    for (const level of [-1, 1]) figure.append(svg("line", { class: "decisive", x1: 0, x2: width, y1: y(level), y2: y(level) }));
    figure.append(svg("line", { class: "zero", x1: 0, x2: width, y1: middle, y2: middle }));
    for (const [a, b, v] of windows) {
      const mark = svg("rect", { class: v > 0 ? "synthetic" : "natural", x: x(a) + 1, width: Math.max(1, x(b) - x(a) - 2), y: Math.min(middle, y(v)), height: Math.max(1.5, Math.abs(y(v) - middle)) });
      mark.append(svg("title", {}, `${a.toFixed(1)} to ${b.toFixed(1)} s: log10 LR ${v.toFixed(2)}`));
      figure.append(mark);
    }
    const caption = node("figcaption", {}, `${name}: log10 LR of each window, up to ±${reach.toFixed(1)}. Above the middle speaks for synthetic, below for natural; dashed lines are ten to one; the band at the foot is speech.`);
    return node("figure", {}, figure, caption);
  }

  function evidence(row) {
    const parts = [node("ul", { class: "notes" }, ...row.reasons.map((line) => node("li", {}, line)))];
    const stage = node("div", { class: "stage-box" });
    if (own(row.picture)) stage.append(node("img", { src: row.picture, alt: "Spectrogram, 0 to 12 kHz, 70 dB", width: 900, height: 160 }), node("div", { class: "cursor" }));
    for (const [name, windows] of row.windows) stage.append(track(Math.max(row.seconds, 0.001), name, windows, row.speech));
    if (stage.childNodes.length) parts.push(stage);
    if (own(row.sound)) {
      const sound = node("audio", { controls: "", preload: "none", src: row.sound });
      sound.addEventListener("play", () => { for (const other of $$("audio")) if (other !== sound) other.pause(); });
      const cursor = $(".cursor", stage);
      sound.addEventListener("timeupdate", () => { if (cursor) cursor.style.left = `${(100 * sound.currentTime) / Math.min(row.seconds, 300)}%`; });
      parts.push(sound);
    }
    if (row.likenesses.length) {
      const list = row.likenesses.map(([subject, words]) => node("li", {}, `${subject}: ${words}`));
      parts.push(node("p", { class: "quiet" }, "Nearest of the enrolled, same person over somebody else:"), node("ol", { class: "nearest" }, ...list));
    }
    parts.push(node("dl", { class: "evidence-facts" }, ...row.facts.map(([name, value]) => node("div", {}, node("dt", {}, name), node("dd", {}, value)))));
    return node("tr", { class: "detail" }, node("td", { colspan: document.querySelectorAll("#audit-table thead th").length }, ...parts));
  }

  function toggle(body, open) {
    const button = $("button.open", body);
    if (!button) return;
    if (open && !$("tr.detail", body)) body.append(evidence(data[body.id]));
    $("tr.detail", body).hidden = !open;
    if (!open) for (const sound of $$("audio", body)) sound.pause();
    button.setAttribute("aria-expanded", open);
  }
  auditTable.addEventListener("click", (event) => {
    const button = event.target.closest("button.open");
    if (button) toggle(button.closest("tbody"), button.getAttribute("aria-expanded") !== "true");
  });
  const asked = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (asked?.matches("tbody.row")) toggle(asked, true);
}
