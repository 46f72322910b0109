// model.js: the page's data as columns, and the figures that a question selects from them. PageData.swift writes it.

const data = JSON.parse(byID("data").textContent);
const strings = data.strings;
const isComparison = data.isComparison;

/// What is current of a run that is over was alive at exit.
const isOver = data.processes.every(process => process.hasEnded);

/// `of` words what is counted: "peak bytes".
const metrics = [
    isOver ? { name: "current", label: "Alive at exit", of: what => `${what} alive at exit`, text: "blocks that were still allocated when their process ended" }
        : { name: "current", label: "Current", of: what => `current ${what}`, text: "blocks that were still allocated when the snapshot was taken, or when their process ended" },
    { name: "peak", label: "Peak", of: what => `peak ${what}`, text: "blocks that were allocated at the moment when the process's live bytes were at their maximum" },
    { name: "total", label: "Total", of: what => `total ${what}`, text: "everything that was ever allocated, freed or not" },
    { name: "temporary", label: "Temporary", of: what => `temporary ${what}`, text: "blocks that were freed before their thread allocated anything else; a reused buffer often saves them" },
];

function askedMetric() {
    return metrics.find(metric => metric.name === state.metric);
}

// ---- Frames

const frames = {
    count: data.frames.function.length,
    function: f => strings[data.frames.function[f]],
    file: f => strings[data.frames.file[f]],
    line: f => data.frames.line[f],
    module: f => strings[data.frames.module[f]],
    source: f => strings[data.frames.source[f]],
    isSystem: f => f >= 0 && (data.frames.flags[f] & 1) !== 0,
    isAsync: f => (data.frames.flags[f] & 2) !== 0,

    /// What is known best, as the command prints it.
    place(f) {
        if (f < 0) return "[unknown]";
        if (frames.file(f) && frames.line(f)) return `${frames.file(f)}:${frames.line(f)}`;
        return frames.name(f);
    },
    /// The function, else the best of what is left.
    name(f) {
        if (f < 0) return "[unknown]";
        if (frames.function(f)) return frames.function(f);
        const address = strings[data.frames.address[f]];
        if (frames.file(f)) return fileName(frames.file(f)) + (frames.line(f) ? `:${frames.line(f)}` : "");
        if (frames.module(f)) return fileName(frames.module(f)) + (address ? `+${address}` : "");
        return address || "[unknown]";
    },
    /// Where the function is, as far as it is known.
    origin(f) {
        if (f < 0) return "";
        const line = frames.file(f) ? frames.file(f) + (frames.line(f) ? `:${frames.line(f)}` : "") : "";
        return [line, frames.module(f)].filter(Boolean).join(" in ");
    },
};

/// Number of the function that a frame belongs to: frames of one function are one box of the graph.
const functionOf = (() => {
    const numbers = new Map();
    return Int32Array.from({ length: frames.count }, (_, f) => {
        const name = data.frames.function[f];
        const key = name ? `${name} ${data.frames.module[f]}` : `:${f}`;
        if (!numbers.has(key)) numbers.set(key, numbers.size);
        return numbers.get(key);
    });
})();

/// For each frame whether one of its names contains `text`.
function matchingFrames(text) {
    const needle = text.toLowerCase();
    const hits = new Map();
    const contains = string => {
        if (!hits.has(string)) hits.set(string, strings[string].toLowerCase().includes(needle));
        return hits.get(string);
    };
    return Uint8Array.from({ length: frames.count }, (_, f) =>
        contains(data.frames.function[f]) || contains(data.frames.module[f]) || contains(data.frames.file[f])
            || frames.place(f).toLowerCase().includes(needle) ? 1 : 0);
}

// ---- Calls

const nodes = { count: data.nodes.parent.length, parent: Int32Array.from(data.nodes.parent), frame: Int32Array.from(data.nodes.frame) };
nodes.firstChild = new Int32Array(nodes.count);
nodes.nextSibling = new Int32Array(nodes.count);
for (let node = nodes.count - 1; node > 0; node--) {
    nodes.nextSibling[node] = nodes.firstChild[nodes.parent[node]];
    nodes.firstChild[nodes.parent[node]] = node;
}

// ---- Costs

/// Rows of two kinds become rows with both figures: those of one stack stand together. `side` says of a row whether it is of
/// what is looked at ("now"), of what that is compared with ("old"), or of neither.
function pairedRows(columns, figures, side) {
    const numbers = new Map();
    const paired = { node: [], site: [], process: [], now: {}, old: {} };
    for (const figure of figures) paired.now[figure] = [], paired.old[figure] = [];
    for (let row = 0; row < columns.node.length; row++) {
        const of = side(row);
        if (!of) continue;
        const key = columns.node[row] * (frames.count + 1) + columns.site[row] + 1;
        let number = numbers.get(key);
        if (number === undefined) {
            numbers.set(key, number = paired.node.length);
            paired.node.push(columns.node[row]);
            paired.site.push(columns.site[row]);
            paired.process.push(-1);
            for (const figure of figures) paired.now[figure].push(0), paired.old[figure].push(0);
        }
        for (const figure of figures) paired[of][figure][number] += columns[figure][row];
    }
    return paired;
}

const allFigures = metrics.flatMap(metric => [metric.name + "Bytes", metric.name + "Count"]);
const costs = isComparison ? pairedRows(data.costs, allFigures, row => data.processes[data.costs.process[row]].isOld ? "old" : "now")
    : { ...data.costs, now: data.costs, old: null };
const alive = { ...data.alive, now: data.alive, old: null };

/// Whether what is asked is a difference: of two runs, or of two generations of one.
function isDifference() {
    return isComparison || (state.generation >= 0 && state.against >= 0);
}

/// What is alive of two generations, as two runs are compared.
function pairedGenerations(question) {
    return pairedRows(data.alive, ["currentBytes", "currentCount"], row => {
        if (question.process >= 0 && data.alive.process[row] !== question.process) return null;
        if (question.thread >= 0 && data.alive.thread[row] !== question.thread) return null;
        const generation = data.alive.generation[row];
        return generation === question.generation ? "now" : generation === question.against ? "old" : null;
    });
}

/// The rows that a question is about, with their figures.
///
/// `weight` is what widths show: the figure, in comparisons the larger of the two, so that what is gone is seen too.
function selectRows(question) {
    const isGeneration = question.generation >= 0 && !isComparison;
    const isPair = isGeneration && question.against >= 0;
    const table = isPair ? pairedGenerations(question) : isGeneration ? alive : costs;
    const metric = isGeneration ? "current" : question.metric;
    const rows = [];
    for (let row = 0; row < table.node.length; row++) {
        if (question.process >= 0 && !isComparison && !isPair && table.process[row] !== question.process) continue;
        if (question.thread >= 0 && table.thread && table.thread[row] !== question.thread) continue;
        if (isGeneration && !isPair && table.generation[row] !== question.generation) continue;
        rows.push(row);
    }
    // A stack has a row for each thread and process: they are one stack all the same.
    const places = new Map(), place = new Int32Array(rows.length), firsts = [];
    rows.forEach((row, i) => {
        const key = table.node[row] * (frames.count + 1) + table.site[row] + 1;
        if (!places.has(key)) places.set(key, firsts.push(row) - 1);
        place[i] = places.get(key);
    });
    const pick = (side, unit) => {
        if (!side) return null;
        const sums = new Float64Array(firsts.length), column = side[metric + unit];
        rows.forEach((row, i) => { sums[place[i]] += column[row]; });
        return sums;
    };
    const result = {
        node: Int32Array.from(firsts, row => table.node[row]), site: Int32Array.from(firsts, row => table.site[row]),
        bytes: pick(table.now, "Bytes"), count: pick(table.now, "Count"),
        oldBytes: pick(table.old, "Bytes"), oldCount: pick(table.old, "Count"),
    };
    const [now, old] = question.unit === "bytes" ? [result.bytes, result.oldBytes] : [result.count, result.oldCount];
    result.now = now;
    result.weight = old ? now.map((value, row) => Math.max(value, old[row], 0)) : now.map(value => Math.max(value, 0));
    result.change = old ? now.map((value, row) => value - old[row]) : null;
    return result;
}
