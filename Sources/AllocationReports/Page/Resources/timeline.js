// timeline.js: live and resident memory over time, with the peak and the marks of generations.

/// The process whose time line is shown: the chosen one, else the one with the largest peak. -1 where there is none.
function timelineProcess(isOld) {
    if (!isOld && state.process >= 0) return data.timelines[state.process].time.length ? state.process : -1;
    let best = -1;
    data.processes.forEach((process, index) => {
        if (process.isOld !== isOld || !data.timelines[index].time.length) return;
        if (best < 0 || process.peak.bytes > data.processes[best].peak.bytes) best = index;
    });
    return best;
}

/// Moments of a process, with that of its peak, which lies between two looks at the clock.
function moments(index) {
    const line = data.timelines[index], process = data.processes[index];
    const list = line.time.map((time, i) => ({
        time: time ?? 0, bytes: line.bytes[i], count: line.count[i], resident: line.resident[i], largest: line.largest[i],
    }));
    const after = list.findIndex(moment => moment.time >= process.peakTime);
    const at = after < 0 ? list.length : after;
    if (process.peak.bytes > 0 && list[at]?.time !== process.peakTime) {
        const neighbor = list[at] ?? list[at - 1];
        list.splice(at, 0, {
            time: process.peakTime ?? 0, bytes: process.peak.bytes, count: process.peak.count, resident: neighbor.resident, largest: [],
        });
    }
    return list;
}

/// Round steps that divide 0…`max` into about `count` parts, of 1, 2 or 5 times a power of `base` and ten.
function ticks(max, count, base) {
    const raw = max / count;
    const unit = base === 1024 ? 1024 ** Math.max(0, Math.floor(Math.log(Math.max(raw, 1)) / Math.log(1024))) : 1;
    const ten = 10 ** Math.floor(Math.log10(raw / unit));
    const step = unit * ten * ([1, 2, 5].find(factor => factor * ten * unit >= raw) ?? 10);
    return Array.from({ length: Math.floor(max / step + 1e-9) + 1 }, (_, i) => i * step);
}

function timeLabel(seconds, max) {
    const trimmed = value => String(Number(value.toPrecision(3)));
    if (max >= 300) return `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, "0")} min`;
    return max < 1 ? `${trimmed(seconds * 1000)} ms` : `${trimmed(seconds)} s`;
}

const timeline = { moments: [], cursor: -1, moveTo: () => {} };

function showTimeline() {
    const chart = byID("memory-chart");
    const index = timelineProcess(false), old = timelineProcess(true);
    if (index < 0) {
        byID("memory-caption").textContent = "There is no time line: it cannot be divided, so a page of filtered stacks has none.";
        for (const id of ["memory-legend", "memory-chart", "memory-details"]) byID(id).replaceChildren();
        return;
    }
    const process = data.processes[index];
    const many = data.processes.filter(other => other.isOld === process.isOld).length > 1;
    byID("memory-caption").textContent = (many ? `Process ${process.pid}, ${elided(strings[process.command], 80)}. ` : "")
        + "Live memory is what the program asked for and has not freed. Resident memory is what the system has given to the process."
        + " The gap between them is code, stacks and files, and what the allocator keeps or cannot return.";
    timeline.moments = moments(index);
    timeline.cursor = -1;
    const before = old < 0 ? [] : moments(old);
    const marks = data.generations.start.map((start, i) => ({ start, name: strings[data.generations.name[i]], number: data.generations.generation[i] }))
        .filter((mark, i) => data.generations.process[i] === index && mark.number > 0);
    chart.replaceChildren(timelineChart(chart.clientWidth, timeline.moments, before, process, marks));
    showTimelineLegend(timeline.moments.some(moment => moment.resident > 0), before.length > 0, marks.length);
    sayMoment(-1);
}

function timelineChart(width, list, before, process, marks) {
    const height = 240, left = 66, right = 14, top = 16, bottom = 24;
    const maxTime = Math.max(1e-6, process.duration ?? 0, ...list.map(moment => moment.time), ...before.map(moment => moment.time));
    const maxBytes = 1.06 * Math.max(1, ...list.map(moment => Math.max(moment.bytes, moment.resident)), ...before.map(moment => moment.bytes));
    const x = time => left + (width - left - right) * time / maxTime;
    const y = bytes => height - bottom - (height - top - bottom) * bytes / maxBytes;
    const line = (moments, figure) => moments.map(moment => `${x(moment.time).toFixed(1)},${y(figure(moment)).toFixed(1)}`);
    const live = moment => moment.bytes, resident = moment => moment.resident;

    const svg = svgElement("svg", {
        viewBox: `0 0 ${width} ${height}`, height, tabindex: 0, role: "slider", "aria-label": "Moment of the time line",
        "aria-valuemin": 0, "aria-valuemax": list.length - 1, "aria-valuenow": 0,
    });
    for (const bytes of ticks(maxBytes, 4, 1024)) {
        svg.append(svgElement("line", { class: "grid", x1: left, x2: width - right, y1: y(bytes), y2: y(bytes) }));
        svg.append(svgElement("text", { x: left - 6, y: y(bytes) + 4, "text-anchor": "end" }, binaryText(bytes)));
    }
    for (const time of ticks(maxTime, width < 600 ? 4 : 8, 10)) {
        // The last one ends where the chart does.
        const isLast = x(time) > width - 30;
        svg.append(svgElement("text", { x: isLast ? width - 2 : x(time), y: height - 6, "text-anchor": isLast ? "end" : "middle" }, timeLabel(time, maxTime)));
    }
    const known = list.filter(moment => moment.resident > 0);
    if (known.length) {
        const gap = [...line(known, resident), ...line(known, live).reverse()];
        svg.append(svgElement("polygon", { class: "gap-area", points: gap.join(" ") }));
        svg.append(svgElement("polyline", { class: "resident-line", points: line(known, resident).join(" ") }));
    }
    const area = [`${x(list[0].time)},${y(0)}`, ...line(list, live), `${x(list[list.length - 1].time)},${y(0)}`];
    svg.append(svgElement("polygon", { class: "live-area", points: area.join(" ") }));
    if (before.length) svg.append(svgElement("polyline", { class: "old-line", points: line(before, live).join(" ") }));
    svg.append(svgElement("polyline", { class: "live-line", points: line(list, live).join(" ") }));
    for (const [i, mark] of marks.entries()) {
        svg.append(svgElement("line", { class: "mark-line", x1: x(mark.start), x2: x(mark.start), y1: top, y2: height - bottom },
            svgElement("title", {}, `generation ${mark.number}${mark.name ? ": " + mark.name : ""}`)));
        const room = (x(marks[i + 1]?.start ?? maxTime) - x(mark.start)) / 7;
        const label = mark.name || String(mark.number);
        if (label.length <= room) svg.append(svgElement("text", { x: x(mark.start) + 3, y: top - 4 }, label));
    }
    if (process.peak.bytes > 0) {
        const [px, py] = [x(process.peakTime ?? 0), y(process.peak.bytes)];
        const isLate = px > width * 0.6;
        svg.append(svgElement("circle", { class: "peak-mark", cx: px, cy: py, r: 5 }));
        svg.append(svgElement("text", { class: "peak-text", x: px + (isLate ? -9 : 9), y: py - 5, "text-anchor": isLate ? "end" : "start" },
            `peak ${sizeText(process.peak.bytes)}`));
    }
    const cursor = svgElement("g", { visibility: "hidden" }, svgElement("line", { class: "cursor-line", y1: top, y2: height - bottom }),
        svgElement("circle", { class: "cursor-dot", r: 4 }));
    svg.append(cursor);
    timeline.moveTo = index => {
        timeline.cursor = Math.max(0, Math.min(list.length - 1, index));
        const moment = list[timeline.cursor];
        setAttributes(cursor, { visibility: "visible" });
        setAttributes(cursor.firstChild, { x1: x(moment.time), x2: x(moment.time) });
        setAttributes(cursor.lastChild, { cx: x(moment.time), cy: y(moment.bytes) });
        setAttributes(svg, { "aria-valuenow": timeline.cursor, "aria-valuetext": sayMoment(timeline.cursor) });
    };
    svg.addEventListener("pointermove", event => {
        const time = (event.clientX - svg.getBoundingClientRect().left - left) / (width - left - right) * maxTime;
        let nearest = 0;
        list.forEach((moment, i) => { if (Math.abs(moment.time - time) < Math.abs(list[nearest].time - time)) nearest = i; });
        timeline.moveTo(nearest);
    });
    svg.addEventListener("keydown", event => {
        const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -1e9, End: 1e9 };
        if (!(event.key in steps)) return;
        timeline.moveTo(timeline.cursor + steps[event.key]);
        event.preventDefault();
    });
    return svg;
}

/// Says what was at a moment, and gives it as text.
function sayMoment(index) {
    const details = byID("memory-details");
    if (index < 0) {
        details.textContent = "Point at a moment, or walk with the arrow keys, to see what was alive then.";
        return "";
    }
    const moment = timeline.moments[index];
    let text = `After ${durationText(moment.time)}: ${tallyText(moment.bytes, moment.count)} live`;
    if (moment.resident > 0) text += `, ${sizeText(moment.resident)} resident, a gap of ${sizeText(moment.resident - moment.bytes)}`;
    const largest = [];
    for (let i = 0; i + 1 < moment.largest.length; i += 2) {
        largest.push(`${shortName(frames.name(moment.largest[i]))} (${sizeText(moment.largest[i + 1])})`);
    }
    details.textContent = text + "." + (largest.length ? ` Largest stacks then: ${largest.join(", ")}.` : "");
    return text;
}

function showTimelineLegend(hasResident, hasBefore, markCount) {
    const key = (name, label) => element("li", {}, svgElement("svg", { width: 26, height: 10 },
        svgElement("line", { class: name, x1: 0, x2: 26, y1: 5, y2: 5 })), label);
    byID("memory-legend").replaceChildren(...[
        key("live-line", isComparison ? "live, the new run" : "live"), hasBefore && key("old-line", "live, the old run"),
        hasResident && key("resident-line", "resident (shaded: the gap)"), markCount > 0 && key("mark-line", "a new generation begins"),
    ].filter(Boolean));
}
