// state.js: what the page is asked, kept in the URL fragment so that a link shows the same.

const defaults = {
    metric: data.metric, unit: data.order === "count" ? "blocks" : "bytes", process: -1, thread: -1, generation: -1, against: -1, system: "show", invert: false,
    search: "", zoom: "", by: ["function", "file", "module"].includes(data.by) ? data.by : "line",
    sort: isComparison ? "-change" : "-figure", filter: "",
};

const state = { ...defaults };

/// Reads the fragment; what it does not say, or says wrongly, is as it was at first.
function readState() {
    const words = new URLSearchParams(location.hash.slice(1));
    Object.assign(state, defaults);
    for (const [key, value] of words) {
        if (!(key in defaults)) continue;
        if (typeof defaults[key] === "number") state[key] = /^\d{1,9}$/.test(value) ? Number(value) : -1;
        else if (typeof defaults[key] === "boolean") state[key] = value === "1";
        else state[key] = value.slice(0, 20000);
    }
    const oneOf = (key, values) => { if (!values.includes(state[key])) state[key] = defaults[key]; };
    oneOf("metric", metrics.map(metric => metric.name));
    oneOf("unit", ["bytes", "blocks"]);
    oneOf("system", ["show", "hide"]);
    oneOf("by", groupings.map(grouping => grouping.name));
    if (state.process >= data.processes.length || isComparison) state.process = -1;
    if (!data.generations.generation.includes(state.generation) || isComparison) state.generation = -1;
    const threadProcess = data.threads.process[state.thread];
    if (isComparison || threadProcess === undefined || (state.process >= 0 && threadProcess !== state.process)) state.thread = -1;
    // Of generations it is known what is alive.
    if (state.generation >= 0) state.metric = "current";
    if (!data.generations.generation.includes(state.against) || state.against === state.generation || state.generation < 0) state.against = -1;
}

function writeState() {
    const words = new URLSearchParams();
    for (const [key, value] of Object.entries(state)) {
        if (value !== defaults[key]) words.set(key, typeof value === "boolean" ? Number(value) : value);
    }
    const fragment = words.toString();
    // Pages opened from a file may not touch their history in every browser.
    try { history.replaceState(null, "", fragment ? "#" + fragment : location.pathname + location.search); } catch { location.hash = fragment; }
}

/// Changes what is asked and shows the answer.
function ask(changes) {
    Object.assign(state, changes);
    writeState();
    show(changes);
}
