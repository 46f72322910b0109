// figures.js: the summary, histograms, generations, processes and the words of the page.

/// Processes that are asked about, with their numbers; `isOld` those of the run that is compared with.
function askedProcesses(isOld = false) {
    return data.processes.map((process, index) => ({ process, index }))
        .filter(({ process, index }) => process.isOld === isOld && (isOld || state.process < 0 || state.process === index));
}

function showSummary() {
    const sum = (list, figure) => list.reduce((sum, { process }) => sum + figure(process), 0);
    const asked = askedProcesses(), before = askedProcesses(true), first = asked[0]?.process;
    if (!first) return;
    const many = asked.length > 1 ? `sum of ${asked.length} processes` : null;
    const rows = [];
    /// A figure, below it a note, and in comparisons how it differs.
    const add = (label, figure, text, note) => {
        const now = sum(asked, figure), change = now - sum(before, figure);
        const difference = isComparison ? `${text(change, true)} against before` : null;
        rows.push(element("div", {}, element("dt", {}, label), element("dd", {}, text(now),
            ...[note, difference].filter(Boolean).map(line => element("small", {}, line)))));
    };
    const signedDuration = (value, signed) => (value < 0 ? "−" : signed ? "+" : "") + durationText(Math.abs(value));
    const date = new Date((first.started ?? 0) * 1000);
    rows.push(element("div", {}, element("dt", {}, "Duration"), element("dd", {}, durationText(first.duration),
        element("small", {}, first.started > 0 ? `began ${date.toLocaleString()}` : ""),
        isComparison && before[0] ? element("small", {}, `${signedDuration(first.duration - before[0].process.duration, true)} against before`) : null)));
    add("Peak", process => process.peak.bytes, sizeText,
        many ?? `${countText(first.peak.count, "block")}, after ${durationText(first.peakTime)}`);
    add(isOver ? "Alive at exit" : "Alive", process => process.current.bytes, sizeText, countText(sum(asked, process => process.current.count), "block"));
    add("Allocations", process => process.allocations, numberText, sizeText(sum(asked, process => process.bytesAllocated)) + " in all");
    add("Frees", process => process.frees, numberText, sizeText(sum(asked, process => process.bytesFreed)));
    const allocations = sum(asked, process => process.allocations);
    add("Temporary", process => process.temporaryAllocations, numberText, `${shareText(sum(asked, process => process.temporaryAllocations), allocations)} of all allocations`);
    if (asked.length === 1 && first.peakRSS > 0) add("Resident at most", process => process.peakRSS, sizeText, "what the system gave the process");
    add("Threads", process => process.threads, numberText, "that allocated");
    if (!isComparison || asked.length > 1) add("Processes", () => 1, numberText, asked.length === 1 ? strings[first.end].replace(/, after .*/, "").replace(/^(with|by|as) /, "ended $&") : null);
    byID("figures").replaceChildren(...rows);
    const warnings = new Set([...asked, ...before].flatMap(({ process }) => process.warnings.map(number => strings[number])));
    for (const { process } of asked) {
        const says = (count, text) => { if (count > 0) warnings.add(`Process ${process.pid}: ${text(numberText(count))}`); };
        says(process.lostEvents, count => `${count} events were lost; the figures are too small.`);
        says(process.lostStacks, count => `${count} stacks found no room; their costs stand at their deepest known callers.`);
        says(process.truncatedStacks, count => `${count} stacks were cut at ${process.frameLimit} frames; --frames keeps more.`);
        says(process.incompleteStacks, count => `${count} stacks ended early, at code without unwind information.`);
    }
    byID("warnings").replaceChildren(...[...warnings].map(text => element("li", {}, text)));
}

// ---- Histograms

function sizeBucket(index) {
    if (index === 0) return "0 B";
    const from = 2 ** (index - 1);
    return index === 31 ? `${binaryText(from)} and more` : index === 1 ? "1 B" : from < 1024 ? `${from} – ${2 * from - 1} B` : `${binaryText(from)} – ${binaryText(2 * from)}`;
}

function lifetimeBucket(index) {
    if (index === 0) return "below 1 µs";
    const from = 4 ** (index - 1);
    return index === 19 ? `${microseconds(from)} and more` : `${microseconds(from)} – ${microseconds(4 * from)}`;
}

function microseconds(value) {
    if (value < 1000) return `${value} µs`;
    if (value < 1e6) return `${Number((value / 1000).toPrecision(2))} ms`;
    if (value < 6e7) return `${Number((value / 1e6).toPrecision(2))} s`;
    return value < 3.6e9 ? `${Number((value / 6e7).toPrecision(2))} min` : `${Number((value / 3.6e9).toPrecision(2))} h`;
}

function showHistograms() {
    const sum = (columns, isOld) => {
        const sums = columns[0]?.map(() => 0) ?? [];
        for (const { index } of askedProcesses(isOld)) columns[index].forEach((count, i) => { sums[i] += count; });
        return sums;
    };
    const show = (id, columns, label) => {
        const now = sum(columns, false), old = sum(columns, true), all = now.map((count, i) => Math.max(count, old[i]));
        const first = all.findIndex(count => count > 0), last = all.findLastIndex(count => count > 0);
        const most = Math.max(1, ...all), total = now.reduce((a, b) => a + b, 0);
        if (first < 0) return byID(id).replaceChildren(element("p", { class: "hint" }, "None."));
        const rows = [];
        for (let i = first; i <= last; i++) {
            const bar = element("div", { class: "bar" });
            bar.style.width = `${100 * now[i] / most}%`;
            bar.hidden = now[i] === 0;
            rows.push(element("tr", {}, element("th", { scope: "row", class: "number" }, label(i)), element("td", {}, bar),
                element("td", { class: "number" }, numberText(now[i])),
                element("td", { class: "number" }, isComparison ? numberText(now[i] - old[i], true) : shareText(now[i], total))));
        }
        byID(id).replaceChildren(element("table", { class: "bars" }, element("tbody", {}, ...rows)));
    };
    show("sizes", data.sizes, sizeBucket);
    show("lifetimes", data.lifetimes, lifetimeBucket);
}

// ---- Types

const types = { shown: 20 };

/// Objects by type, in the chosen metric. They are of all processes, threads and generations: blocks know their stack, not these.
function showTypes() {
    byID("types").hidden = !data.types;
    if (!data.types) return;
    const { metric } = state, side = (columns, i) => ({ bytes: columns[metric + "Bytes"][i], count: columns[metric + "Count"][i] });
    const rows = data.types.name.map((name, i) => {
        const now = side(data.types.now, i), old = data.types.old ? side(data.types.old, i) : { bytes: 0, count: 0 };
        return { name: strings[name], ...now, change: now.bytes - old.bytes, countChange: now.count - old.count };
    }).filter(row => row.bytes || row.count || row.change || row.countChange);
    const figure = state.unit === "bytes" ? "bytes" : "count", change = state.unit === "bytes" ? "change" : "countChange";
    rows.sort((a, b) => isComparison ? Math.abs(b[change]) - Math.abs(a[change]) || b[figure] - a[figure] : b[figure] - a[figure] || (a.name < b.name ? -1 : 1));
    const whole = rows.reduce((sum, row) => sum + row[figure], 0);
    byID("types-caption").textContent = `What ${askedMetric().of("memory")} is: objects by their type, other blocks by the function that allocated them. `
        + "The whole run is counted, whatever process, thread or generation is chosen above.";
    byID("types-status").textContent = rows.length ? `${countText(rows.length, "type")}: ${figureText(whole, state.unit)}.` : "None has any of this.";
    byID("types-table").replaceChildren(plainTable([
        { label: "Type", of: row => element("div", { class: "place" }, row.name) },
        { label: "Bytes", isNumber: true, of: row => sizeText(row.bytes) }, { label: "Blocks", isNumber: true, of: row => numberText(row.count) },
        ...isComparison ? [
            { label: "Change", isNumber: true, of: row => sizeText(row.change, true) },
            { label: "Blocks ±", isNumber: true, isWide: true, of: row => numberText(row.countChange, true) },
        ] : [
            { label: "Average", isNumber: true, isWide: true, of: row => row.count ? sizeText(row.bytes / row.count) : "" },
            { label: "Share", isNumber: true, isWide: true, of: row => shareText(row[figure], whole) },
        ],
    ], rows.slice(0, types.shown)));
    byID("more-types").hidden = rows.length <= types.shown;
}

// ---- Tables

function plainTable(columns, rows) {
    const cell = (name, column, content) => element(name, {
        class: [column.isNumber ? "number" : "", column.isWide ? "wide" : ""].join(" ").trim() || null, scope: name === "th" ? "col" : null,
    }, content);
    return element("table", {}, element("thead", {}, element("tr", {}, ...columns.map(column => cell("th", column, column.label)))),
        element("tbody", {}, ...rows.map(row => element("tr", {}, ...columns.map(column => cell("td", column, column.of(row)))))));
}

function showGenerations() {
    const list = data.generations.generation.map((number, i) => ({
        number, process: data.generations.process[i], name: strings[data.generations.name[i]], start: data.generations.start[i], bytes: 0, count: 0,
    }));
    const hasMarks = list.some(generation => generation.number > 0) && !isComparison;
    byID("generations-caption").textContent = isComparison ? "Look at the pages of the single runs for their generations."
        : hasMarks ? "A mark begins a new generation. What was born in a generation and is alive long after it may be a leak; what only the last one holds is work in progress."
            : "Nothing was marked, so there is only one generation. run --mark-every 2s begins a new one every two seconds.";
    if (!hasMarks) return byID("generations-table").replaceChildren();
    const find = new Map(list.map(generation => [`${generation.process} ${generation.number}`, generation]));
    for (let row = 0; row < alive.node.length; row++) {
        const generation = find.get(`${alive.process[row]} ${alive.generation[row]}`);
        if (!generation) continue;
        generation.bytes += alive.currentBytes[row];
        generation.count += alive.currentCount[row];
    }
    const shown = list.filter(generation => state.process < 0 || generation.process === state.process);
    const isMany = new Set(shown.map(generation => generation.process)).size > 1;
    const look = generation => generation.count === 0 ? "" : element("button", {
        type: "button", "aria-label": `Show generation ${generation.number} in the graph`,
        onclick: () => { ask({ generation: generation.number, against: -1, metric: "current", zoom: "" }); byID("question").scrollIntoView(); },
    }, "show");
    // A generation against the one before it: in a program that repeats something, both should hold the same.
    const compare = generation => generation.number === 0 || generation.count === 0 ? "" : element("button", {
        type: "button", "aria-label": `Compare generation ${generation.number} with the one before it`,
        onclick: () => { ask({ generation: generation.number, against: generation.number - 1, metric: "current", zoom: "" }); byID("question").scrollIntoView(); },
    }, "compare");
    byID("generations-table").replaceChildren(plainTable([
        { label: "Generation", of: generation => generation.name ? `${generation.number}  ${generation.name}` : String(generation.number) },
        ...isMany ? [{ label: "Process", isNumber: true, of: generation => String(data.processes[generation.process].pid) }] : [],
        { label: "Began after", isNumber: true, isWide: true, of: generation => durationText(generation.start) },
        { label: "Alive", isNumber: true, of: generation => sizeText(generation.bytes) },
        { label: "Blocks", isNumber: true, of: generation => numberText(generation.count) },
        { label: "Graph", of: look },
        ...shown.length > 1 ? [{ label: "Growth", isWide: true, of: compare }] : [],
    ], shown));
}

function showProcesses() {
    const name = process => element("div", { class: "place" }, strings[process.command] || strings[process.executable] || "[unknown]");
    byID("processes-table").replaceChildren(plainTable([
        ...isComparison ? [{ label: "Run", of: process => process.isOld ? "old" : "new" }] : [],
        { label: "Pid", isNumber: true, of: process => String(process.pid) },
        { label: "Parent", isNumber: true, isWide: true, of: process => process.parent === null ? "" : String(process.parent) },
        { label: "Command", of: name }, { label: "Ended", isWide: true, of: process => strings[process.end] },
        { label: "Allocations", isNumber: true, isWide: true, of: process => numberText(process.allocations) },
        { label: "Peak", isNumber: true, of: process => sizeText(process.peak.bytes) },
        { label: "Alive", isNumber: true, of: process => sizeText(process.current.bytes) },
    ], data.processes));
}

function showGlossary() {
    const words = [
        ["Width", isComparison ? "A box is as wide as the larger of its two figures, before and now, so that what is gone is still seen. The sign and the color say what became of it: + and warm is growth, − and cold is shrinkage, the stronger the larger the part that is new or gone."
            : "A box is as wide as the share that it and everything it called have of the chosen figure. Height is depth only: outermost calls are on top, each box stands under its caller. Order from left to right is by size, not by time."],
        ...metrics.map(metric => [metric.label, metric.text[0].toUpperCase() + metric.text.slice(1) + "."]),
        ["Bytes and blocks", "Bytes are the sizes that the program asked for, without the allocator's overhead. A block is one allocation; a realloc is one free and one allocation."],
        ["Call site", "The innermost call that is neither allocator, language runtime nor standard library: the line of your code that can be changed."],
        ["Runtime frames", "Allocator, language runtime and standard library. When they are hidden, what they allocate counts for the call that called them."],
        ["Invert", "Turns the stacks around: first the functions that allocate, under them who called them. It brings together what one function allocates for many callers."],
    ];
    byID("glossary").replaceChildren(...words.flatMap(([word, text]) => [element("dt", {}, word), element("dd", {}, text)]));
}
