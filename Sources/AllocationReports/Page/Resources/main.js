// main.js: puts the page together, and shows again what a change of the question changes.

/// Shows the answers that depend on `changes`; without them all.
function show(changes) {
    const has = (...keys) => !changes || keys.some(key => key in changes);
    const isOtherData = has("metric", "unit", "process", "thread", "generation", "against");
    showQuestion();
    if (isOtherData) page.rows = selectRows(state);
    if (isOtherData || has("by")) collectSites(page.rows);
    if (has("search")) flame.matches = state.search.trim() ? matchingFrames(state.search.trim()) : null;
    if (isOtherData || has("invert", "system")) flame.graph = new (state.invert ? CallsOutward : CallsInward)(page.rows, state.system === "hide");
    if (isOtherData || has("invert", "system", "search", "zoom")) showFlame(isOtherData || has("invert", "system", "zoom"));
    if (isOtherData || has("by", "sort", "filter", "system")) showSites();
    if (has("metric", "unit")) showTypes();
    if (has("process")) {
        showSummary();
        showTimeline();
        showHistograms();
        showGenerations();
    }
}

const page = { rows: null };

function showQuestion() {
    const metric = askedMetric();
    const generation = state.generation < 0 ? "" : `, of what was born in ${generationName(state.generation)}`
        + (state.against >= 0 ? ` against what was born in ${generationName(state.against)}` : "");
    const thread = state.thread < 0 ? "" : `, allocated by ${strings[data.threads.name[state.thread]]}`;
    byID("metric-caption").textContent = `${metric.label} counts ${metric.text}${generation}${thread}.`
        + (askedProcesses().length > 1 && state.metric === "peak" ? " Each process is taken at its own peak." : "");
    byID("graph-title").textContent = isDifference() ? "What has changed" : "Who allocates";
    byID("graph-caption").textContent = (isDifference()
        ? "Width is the larger of before and now; + and − say how a call changed. " : `Width is a call's share of ${metric.of(state.unit)}, with all that it called. `)
        + (state.invert ? "On top stand the functions that allocate, below them their callers." : "Callers stand above what they call.")
        + " Click a box to zoom in.";
    byID("sites-caption").textContent = isDifference() ? "How the lines of your code differ. Open a row for its stacks."
        : `The lines of your code that ${metric.of("memory")} came from. Open a row for its stacks.`;
    for (const input of document.querySelectorAll("#question input[type=radio]")) input.checked = state[input.name] === input.value;
    byID("hide-system").checked = state.system === "hide";
    byID("invert").setAttribute("aria-pressed", String(state.invert));
    byID("process").value = state.process;
    showThreadChoice();
    byID("generation").value = state.generation;
    byID("against").value = state.against;
    byID("against-choice").hidden = byID("generation-choice").hidden || state.generation < 0;
    showLegend();
    byID("grouping").value = state.by;
    // Not while it is being typed into: the cursor would jump.
    for (const key of ["search", "filter"]) if (document.activeElement !== byID(key)) byID(key).value = state[key];
}

/// The threads of the chosen process, or of all.
function showThreadChoice() {
    const threads = data.threads.name.map((name, index) => ({ index, name: strings[name], process: data.threads.process[index] }))
        .filter(thread => data.threads.isUsed[thread.index] && (state.process < 0 || thread.process === state.process));
    byID("thread-choice").hidden = isComparison || threads.length < 2;
    const isMany = state.process < 0 && new Set(threads.map(thread => thread.process)).size > 1;
    byID("thread").replaceChildren(element("option", { value: -1 }, `all ${threads.length}`), ...threads.map(thread =>
        element("option", { value: thread.index }, isMany ? `${data.processes[thread.process].pid}: ${thread.name}` : thread.name)));
    byID("thread").value = state.thread;
}

function generationName(number) {
    const name = strings[data.generations.name[data.generations.generation.indexOf(number)]];
    return `generation ${number}${name ? ": " + name : ""}`;
}

function makeControls() {
    const choice = (id, name, options) => byID(id).append(element("div", { class: "options" }, ...options.map(([value, label, title]) =>
        element("label", { title }, element("input", { type: "radio", name, value, onchange: () => ask({ [name]: value, zoom: "" }) }), label))));
    choice("metric-choice", "metric", metrics.map(metric => [metric.name, metric.label, metric.text]));
    choice("unit-choice", "unit", [["bytes", "Bytes", "requested sizes"], ["blocks", "Blocks", "numbers of allocations"]]);
    // Other metrics do not know generations.
    for (const input of document.querySelectorAll("#metric-choice input")) input.addEventListener("change", () => { if (state.generation >= 0) ask({ generation: -1, against: -1 }); });

    const option = (value, label) => element("option", { value }, label);
    const processes = askedProcesses();
    byID("process-choice").hidden = isComparison || processes.length < 2;
    byID("process").append(option(-1, `all ${processes.length}`),
        ...processes.map(({ process, index }) => option(index, `${process.pid}: ${elided(strings[process.command], 60)}`)));
    byID("process").addEventListener("change", event => ask({ process: Number(event.target.value), thread: -1, zoom: "" }));
    byID("thread").addEventListener("change", event => ask({ thread: Number(event.target.value), zoom: "" }));
    const generations = [...new Set(data.generations.generation)];
    byID("generation-choice").hidden = isComparison || generations.length < 2;
    byID("generation").append(option(-1, "any generation"), ...generations.map(number => {
        return option(number, generationName(number));
    }));
    byID("generation").addEventListener("change", event => ask({
        generation: Number(event.target.value), against: event.target.value === "-1" || Number(event.target.value) === state.against ? -1 : state.against,
        metric: "current", zoom: "",
    }));
    byID("against").append(option(-1, "nothing"), ...generations.map(number => option(number, generationName(number))));
    byID("against").addEventListener("change", event => {
        const against = Number(event.target.value);
        ask({ against: against === state.generation ? -1 : against, zoom: "" });
    });

    byID("hide-system").addEventListener("change", event => ask({ system: event.target.checked ? "hide" : "show", zoom: "" }));
    byID("invert").addEventListener("click", () => ask({ invert: !state.invert, zoom: "" }));
    byID("zoom-out").addEventListener("click", () => zoomInto(flame.graph.root));
    byID("grouping").append(...groupings.map(grouping => option(grouping.name, grouping.label)));
    byID("grouping").addEventListener("change", event => ask({ by: event.target.value }));
    byID("more").addEventListener("click", () => { sites.shown += 100; showSites(); });
    byID("more-types").addEventListener("click", () => { types.shown += 100; showTypes(); });
    byID("question").addEventListener("submit", event => event.preventDefault());
    for (const key of ["search", "filter"]) listenToTyping(key);
    document.addEventListener("keydown", event => {
        if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
        byID("search").focus();
        event.preventDefault();
    });
}

/// Answers when the typing pauses.
function listenToTyping(key) {
    let timer = 0;
    byID(key).addEventListener("input", event => {
        clearTimeout(timer);
        timer = setTimeout(() => ask({ [key]: event.target.value }), 120);
    });
}

function showLegend() {
    const swatch = (variable, label) => {
        const square = svgElement("rect", { width: 12, height: 12, rx: 2 });
        square.style.fill = `var(${variable})`;
        return element("li", {}, svgElement("svg", { width: 12, height: 12 }, square), label);
    };
    const list = isDifference()
        ? [swatch("--change-up-3", "+ grown or new"), swatch("--change-down-3", "− shrunk or gone"), swatch("--change-none", "unchanged")]
        : [
            ...[...flame.palette].map(([key, index]) => swatch(`--call-${index}`, fileName(key) || "no library")),
            swatch("--call-5", flame.byPart ? "other parts" : "other libraries"), swatch("--call-system", "runtime"),
        ];
    byID("graph-legend").replaceChildren(...list);
}

function showOmission() {
    if (!data.omitted) return;
    byID("omitted").hidden = false;
    byID("omitted").textContent = `To stay small the page leaves out ${countText(data.omitted.calls, "call")}, none of which has more than`
        + ` ${Number((100 * data.omitted.share).toPrecision(2))} % of any metric. They are summed up as “[smaller calls]” under their callers;`
        + " totals and call sites are exact.";
}

function begin() {
    byID("sections").append(...[...document.querySelectorAll("main section")].filter(section => section.id !== "types" || data.types).map(section =>
        element("a", { href: "#", onclick: event => { event.preventDefault(); section.scrollIntoView(); } }, section.querySelector("h2").textContent)));
    readState();
    makeControls();
    choosePalette();
    showOmission();
    listenToFlame();
    show();
    showProcesses();
    showGlossary();
    addEventListener("hashchange", () => { readState(); show(); });
    let width = innerWidth;
    addEventListener("resize", () => {
        if (innerWidth !== width) showTimeline();
        width = innerWidth;
        showFlame(false);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawFlame);
    document.documentElement.dataset.ready = Math.round(performance.now());
}

begin();
