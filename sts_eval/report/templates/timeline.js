// A recording as two lanes with everything that was found in it, its player and its keys.


const LANE = 58;
const ROW = 17;
const PAPER = 720; // px across a sheet, so that labels stay legible in print

class Timeline {
  constructor(figure) {
    this.number = figure.dataset.timeline;
    this.figure = figure;
    this.drawing = $(".drawing", figure);
    this.data = JSON.parse(block(`data-${this.number}`));
    this.peaks = this.data.peaks.map((text) => new Int8Array(bytes(text).buffer));
    this.total = this.data.until ?? this.data.seconds; // a pair of timelines shares one scale
    this.view = [0, this.total];
    this.cursor = 0;
    this.selected = null;
    this.until = null;
    this.wire();
    new ResizeObserver(() => this.draw()).observe(this.drawing);
  }

  wire() {
    const spans = $$(`[data-for="${this.number}"]`);
    for (const button of [...$$("[data-do]", this.figure), ...spans]) {
      button.hidden = false;
      button.addEventListener("click", () => this.act(button.dataset.do, button.dataset.span));
    }
    this.clock = $("[data-time]", this.figure);
    this.clock.hidden = false;
    this.button = $("[data-do=play]", this.figure);
    const drawing = this.drawing;
    drawing.tabIndex = 0;
    drawing.setAttribute("role", "slider");
    drawing.setAttribute("aria-label", `Position in ${this.figure.dataset.label}`);
    drawing.setAttribute("aria-valuemin", "0");
    drawing.setAttribute("aria-valuemax", this.data.seconds.toFixed(2));
    this.figure.addEventListener("keydown", (event) => this.key(event));
    drawing.addEventListener("pointerdown", (event) => {
      if (event.button === 0 && !event.target.closest(".measure")) this.drag(event);
    });
  }

  drag(event) {
    const seek = (moved) => {
      const box = this.drawing.getBoundingClientRect();
      this.seek(this.time(moved.clientX - box.left));
    };
    seek(event);
    this.drawing.setPointerCapture(event.pointerId);
    this.drawing.addEventListener("pointermove", seek);
    this.drawing.addEventListener(
      "lostpointercapture", () => this.drawing.removeEventListener("pointermove", seek), { once: true });
  }

  act(action, index) {
    const span = index === undefined ? null : this.data.spans.find((each) => each[4] === Number(index));
    const middle = this.cursor >= this.view[0] && this.cursor <= this.view[1]
      ? this.cursor : (this.view[0] + this.view[1]) / 2;
    if (action === "play") this.toggle();
    if (action === "play-span") this.playSpan(span);
    if (action === "show-span") this.showSpan(span);
    if (action === "zoom-in") this.zoom(middle, 0.5);
    if (action === "zoom-out") this.zoom(middle, 2);
    if (action === "fit") this.look(0, this.total);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const onButton = event.target.closest("button, a");
    const step = event.shiftKey ? 0.05 : 1;
    const actions = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.seek(this.cursor - step),
      ArrowRight: () => this.seek(this.cursor + step),
      Home: () => this.seek(0),
      End: () => this.seek(this.data.seconds),
      "+": () => this.act("zoom-in"),
      "=": () => this.act("zoom-in"),
      "-": () => this.act("zoom-out"),
      0: () => this.act("fit"),
    };
    if (!(event.key in actions) || (onButton && event.key === " ")) return;
    event.preventDefault();
    actions[event.key]();
  }

  toggle() {
    if (player.current?.timeline === this) return player.stop();
    const from = this.cursor >= this.data.seconds - 0.02 ? 0 : this.cursor;
    player.play(this, from, this.data.seconds);
  }

  playSpan(span) {
    this.selected = span[4];
    this.draw();
    player.play(this, span[0], Math.max(span[1], span[0] + 0.05));
  }

  showSpan(span) {
    const margin = Math.max(0.3, (span[1] - span[0]) * 0.5);
    this.selected = span[4];
    this.look(span[0] - margin, span[1] + margin);
    this.moveTo(span[0], false);
    this.figure.scrollIntoView({ block: "nearest" });
  }

  seek(time) {
    const playing = player.current?.timeline === this;
    this.moveTo(clamp(time, 0, this.data.seconds), true);
    if (playing) player.play(this, this.cursor, this.data.seconds);
  }

  zoom(middle, factor) {
    const half = clamp(((this.view[1] - this.view[0]) * factor) / 2, 0.1, this.total / 2);
    this.look(middle - half, middle + half);
  }

  look(from, to) {
    const width = Math.min(to - from, this.total);
    const start = clamp(from, 0, this.total - width);
    this.view = [start, start + width];
    this.draw();
  }

  x(time) {
    return ((time - this.view[0]) / (this.view[1] - this.view[0])) * this.width;
  }

  time(x) {
    return this.view[0] + (x / this.width) * (this.view[1] - this.view[0]);
  }

  say(message) {
    $("[data-message]", this.figure).textContent = message;
  }

  playing(yes) {
    this.button.textContent = yes ? "Pause" : "Play";
    this.figure.classList.toggle("is-playing", yes);
  }

  moveTo(time, follow) {
    this.cursor = time;
    const [from, to] = this.view;
    if (follow && (time < from || time > to)) {
      this.look(time - (time < from ? 0.9 : 0.1) * (to - from), time + (time < from ? 0.1 : 0.9) * (to - from));
    }
    const x = this.x(time);
    this.line?.setAttribute("transform", `translate(${x.toFixed(2)} 0)`);
    this.line?.setAttribute("visibility", x < -1 || x > this.width + 1 ? "hidden" : "visible");
    const total = this.data.seconds;
    this.clock.textContent = `${time.toFixed(2)} / ${total.toFixed(2)} s`;
    this.drawing.setAttribute("aria-valuenow", time.toFixed(2));
    this.drawing.setAttribute("aria-valuetext", `${time.toFixed(2)} of ${total.toFixed(2)} seconds`);
  }

  // ------------------------------------------------------------ drawing

  draw(most = Infinity) {
    this.width = Math.min(this.drawing.clientWidth, most);
    if (!this.width) return;
    const back = svg("g");
    const front = svg("g");
    let y = this.drawRuler(back);
    const top = y;
    y = this.drawSpans(front, y);
    const lanes = y;
    for (const [lane, name] of ["user", "agent"].entries()) {
      this.drawLane(back, y, lane, name);
      y += LANE + 6;
    }
    y = this.drawPauses(back, lanes, y);
    y = this.drawWords(front, y);
    y = this.drawMarks(front, back, y, lanes);
    this.line = svg("g", { class: "cursor" });
    this.line.append(svg("line", { y1: top - 4, y2: y }), svg("path", { d: `M-5 ${top - 10}h10l-5 7z` }));
    const root = svg("svg", { viewBox: `0 0 ${this.width} ${y + 2}`, width: this.width, height: y + 2, "aria-hidden": "true" });
    root.append(back, front, this.line);
    this.drawing.replaceChildren(root);
    this.moveTo(this.cursor, false);
  }

  drawRuler(layer) {
    const seconds = this.view[1] - this.view[0];
    const most = Math.max(2, this.width / 80);
    const step = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600].find((each) => seconds / each <= most) ?? 1800;
    const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
    for (let tick = Math.ceil(this.view[0] / step - 1e-6); tick * step <= this.view[1] + 1e-6; tick++) {
      const x = this.x(tick * step);
      const anchor = x < 14 ? "start" : x > this.width - 14 ? "end" : "middle";
      layer.append(
        svg("line", { class: "tick", x1: x, x2: x, y1: 15, y2: 21 }),
        svg("text", { class: "ruler", x, y: 11, "text-anchor": anchor }, `${(tick * step).toFixed(digits)} s`));
    }
    return 28;
  }

  // Spans with equal ends share one bracket.
  drawSpans(layer, top) {
    const groups = new Map();
    for (const [start, end, label, bad, index, drawn] of this.data.spans) {
      if (!drawn && index !== this.selected) continue;
      const key = `${start}:${end}`;
      const group = groups.get(key) ?? { start, end, labels: [], bad: false, indices: [] };
      group.labels.push(label);
      group.bad ||= bad;
      group.indices.push(index);
      groups.set(key, group);
    }
    const items = [...groups.values()].map((group) => ({ ...group, label: group.labels[0] + (group.labels.length > 1 ? ` +${group.labels.length - 1}` : "") }));
    const rows = this.packed(items, ROW);
    for (const { item, row, x0, x1, textX, anchor } of rows) {
      const y = top + row * (ROW + 2);
      const selected = item.indices.includes(this.selected);
      const bracket = svg("g", { class: `measure${item.bad ? " bad" : ""}${selected ? " selected" : ""}` });
      bracket.append(
        svg("rect", { class: "wash", x: x0, y, width: Math.max(1, x1 - x0), height: ROW }),
        svg("path", { d: `M${x0} ${y + 2}v${ROW - 4}M${x1} ${y + 2}v${ROW - 4}M${x0} ${y + ROW / 2}H${x1}` }),
        svg("text", { x: textX, y: y + 12.5, "text-anchor": anchor }, item.label),
        svg("title", {}, item.labels.join("\n")));
      bracket.addEventListener("click", () => this.playSpan([item.start, item.end, "", false, item.indices[0]]));
      layer.append(bracket);
      if (selected || (this.selected === null && item === rows[0].item)) {
        layer.prepend(svg("rect", { class: "reach", x: x0, width: Math.max(1, x1 - x0), y: y + ROW, height: this.reach(rows, top, y) }));
      }
    }
    return top + this.depth(rows) * (ROW + 2) + 4;
  }

  reach(rows, top, y) {
    return top + this.depth(rows) * (ROW + 2) + 4 + 2 * LANE + 6 - y - ROW;
  }

  depth(rows) {
    return rows.reduce((most, each) => Math.max(most, each.row + 1), 0);
  }

  // Puts labelled intervals into as few rows as fit; a label sits inside its interval or beside it.
  packed(items, gap) {
    const ends = [];
    const placed = [];
    for (const item of [...items].sort((a, b) => a.start - b.start)) {
      const start = this.x(item.start);
      const end = this.x(item.end ?? item.start);
      if (end < 0 || start > this.width) continue;
      const x0 = clamp(start, 0, this.width);
      const x1 = clamp(end, 0, this.width);
      const label = textWidth(item.label) + 8;
      let anchor = "middle", textX = (x0 + x1) / 2, from = x0, to = x1;
      if (item.beside || label > x1 - x0) {
        const right = x1 + label <= this.width;
        const left = !right && x0 >= label;
        anchor = right ? "start" : "end";
        textX = right ? x1 + 5 : left ? x0 - 5 : this.width; // no room on either side: across it
        if (right) to = x1 + label;
        else from = left ? x0 - label : Math.min(x0, this.width - label);
        if (!right && !left) to = this.width;
      }
      let row = ends.findIndex((last) => last + 4 <= from);
      if (row < 0) row = ends.length;
      ends[row] = to;
      placed.push({ item, row, x0, x1, textX, anchor });
    }
    return placed;
  }

  drawLane(layer, top, lane, name) {
    const group = svg("g", { class: `lane ${name}` });
    group.append(svg("rect", { class: "ground", x: 0, y: top, width: this.width, height: LANE, rx: 3 }));
    for (const [start, end, label] of this.data[name]) {
      const x0 = clamp(this.x(start), 0, this.width), x1 = clamp(this.x(end), 0, this.width);
      if (x1 <= x0) continue;
      const speech = svg("rect", { class: "speech", x: x0, y: top, width: x1 - x0, height: LANE });
      speech.append(svg("title", {}, `${name} speech ${start.toFixed(2)} to ${end.toFixed(2)} s ${label}`));
      group.append(speech, svg("line", { class: "edge", x1: x0, x2: x1, y1: top + LANE - 1, y2: top + LANE - 1 }));
    }
    group.append(
      svg("path", { class: "wave", d: this.wavePath(this.peaks[lane], top + LANE / 2, LANE / 2 - 3) }),
      svg("text", { class: "lane-name", x: 6, y: top + 14 }, name === "user" ? "User" : "Agent"));
    layer.append(group);
  }

  wavePath(peaks, middle, half) {
    const bin = this.data.bin;
    const first = Math.max(0, Math.floor(this.view[0] / bin));
    const last = Math.min(peaks.length / 2, Math.ceil(this.view[1] / bin));
    const stride = Math.max(1, Math.floor((last - first) / (this.width * 1.5)));
    const above = [];
    const below = [];
    for (let at = first; at < last; at += stride) {
      let lo = 127, hi = -127;
      for (let i = at; i < Math.min(at + stride, last); i++) {
        lo = Math.min(lo, peaks[2 * i]);
        hi = Math.max(hi, peaks[2 * i + 1]);
      }
      const x = this.x((at + stride / 2) * bin).toFixed(1);
      above.push(`${x} ${(middle - Math.max(0.5, (hi / 127) * half)).toFixed(1)}`);
      below.push(`${x} ${(middle + Math.max(0.5, (-lo / 127) * half)).toFixed(1)}`);
    }
    return above.length ? `M${above.join("L")}L${below.reverse().join("L")}Z` : "";
  }

  drawPauses(layer, top, y) {
    for (const [start, end, label, kind] of this.data.marks) {
      if (kind !== "pause" || end === null) continue;
      const x0 = clamp(this.x(start), 0, this.width), x1 = clamp(this.x(end), 0, this.width);
      if (x1 <= x0) continue;
      const zone = svg("g", { class: "pause" });
      zone.append(svg("rect", { x: x0, y: top, width: x1 - x0, height: LANE }), svg("title", {}, label));
      if (textWidth(label) + 6 < x1 - x0) zone.append(svg("text", { x: (x0 + x1) / 2, y: top + LANE - 7, "text-anchor": "middle" }, label));
      layer.append(zone);
    }
    return y;
  }

  drawWords(layer, top) {
    const ends = [-Infinity, -Infinity];
    let depth = 0;
    for (const [start, end, text] of this.data.words) {
      const x = this.x(start);
      if (this.x(end) < 0 || x > this.width) continue;
      const row = ends.findIndex((last) => last + 4 <= x);
      if (row < 0) continue; // no room; the sentence stands above the timeline in full
      const right = x + textWidth(text);
      if (right > this.width) continue;
      ends[row] = right;
      depth = Math.max(depth, row + 1);
      const word = svg("g", { class: "word" });
      word.append(
        svg("line", { x1: x, x2: Math.max(x + 1, this.x(end)), y1: top + 1 + row * 18, y2: top + 1 + row * 18 }),
        svg("text", { x, y: top + 13 + row * 18 }, text),
        svg("title", {}, `${text}: ${start.toFixed(2)} to ${end.toFixed(2)} s`));
      layer.append(word);
    }
    return top + depth * 18 + (depth ? 4 : 0);
  }

  drawMarks(layer, back, top, lanes) {
    const marks = this.data.marks
      .filter(([, , , kind]) => kind !== "pause")
      .map(([start, end, label, kind]) => ({ start, end, label, kind, beside: end === null }));
    const rows = this.packed(marks);
    for (const { item, row, x0, x1, textX, anchor } of rows) {
      const y = top + row * ROW;
      const mark = svg("g", { class: `mark ${item.kind}` });
      if (item.end === null) {
        back.append(svg("line", { class: "event-line", x1: x0, x2: x0, y1: lanes, y2: y + ROW / 2 }));
        mark.append(svg("circle", { cx: x0, cy: y + ROW / 2, r: 3 }));
      } else {
        mark.append(svg("rect", { x: x0, y: y + 2, width: Math.max(2, x1 - x0), height: ROW - 5, rx: 2 }));
      }
      const when = item.end === null ? item.start.toFixed(2) : `${item.start.toFixed(2)} to ${item.end.toFixed(2)}`;
      mark.append(svg("text", { x: textX, y: y + 12, "text-anchor": anchor }, item.label), svg("title", {}, `${item.label}: ${when} s`));
      layer.append(mark);
    }
    return top + this.depth(rows) * ROW;
  }
}
