// flame.js: the graph of calls, drawn as boxes under their callers.

const rowHeight = 20;

/// `levels`: boxes by depth, each with its call, left edge and width in pixels. The calls that lead to the focus come first.
const flame = { graph: null, focus: null, selected: null, levels: [], matches: null, palette: new Map(), byPart: false, parts: null };

/// `isOther`: other calls than before, or other calls in focus.
function showFlame(isOther) {
    flame.focus = flame.graph.find(state.zoom);
    if (!flame.selected || !isInGraph(flame.selected)) flame.selected = flame.focus;
    layOutFlame();
    drawFlame();
    // What was scrolled into sight, or pointed at, is somewhere else now.
    if (isOther) {
        byID("flame").scrollTop = Math.max(0, (flame.focus.depth - 3) * rowHeight);
        byID("tooltip").hidden = true;
    }
    showGraphStatus();
    describeCall(flame.selected);
}

function isInGraph(call) {
    while (call.parent) call = call.parent;
    return call === flame.graph.root;
}

function layOutFlame() {
    const width = byID("flame").clientWidth;
    flame.levels = [];
    for (let call = flame.focus.parent; call; call = call.parent) flame.levels.unshift([{ call, x: 0, width, isAncestor: true }]);
    let level = flame.focus.weight > 0 || !flame.focus.parent ? [{ call: flame.focus, x: 0, width, isAncestor: false }] : [];
    while (level.length) {
        flame.levels.push(level);
        const next = [];
        for (const box of level) {
            let x = box.x;
            for (const call of box.call.weight > 0 ? flame.graph.children(box.call) : []) {
                const width = box.width * call.weight / box.call.weight;
                // Widest first: those that follow are not seen either.
                if (width < 0.5) break;
                next.push({ call, x, width, isAncestor: false });
                x += width;
            }
        }
        level = next;
    }
}

/// Draws the rows that are scrolled into sight only: stacks may be hundreds of calls deep.
function drawFlame() {
    const container = byID("flame"), canvas = byID("flame-canvas");
    const width = container.clientWidth, all = flame.levels.length * rowHeight;
    const height = Math.min(all, Math.max(200, Math.floor(innerHeight * 0.7)));
    byID("flame-height").style.height = `${all - height}px`;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const color = name => style.getPropertyValue(name);
    const pen = {
        context, font: `12px ${color("--monospace")}`, text: color("--call-text"), edge: color("--call-edge"), match: color("--call-match"),
        fill: box => color(flameColor(box)),
    };
    context.font = pen.font;
    context.textBaseline = "middle";
    pen.letterWidth = context.measureText("M").width;
    const first = Math.floor(container.scrollTop / rowHeight);
    const last = Math.min(flame.levels.length, Math.ceil((container.scrollTop + height) / rowHeight));
    for (let depth = first; depth < last; depth++) {
        for (const box of flame.levels[depth]) drawBox(box, depth * rowHeight - container.scrollTop, pen);
    }
}

function drawBox(box, y, pen) {
    const { context } = pen;
    const isMatch = flame.matches && box.call.frame >= 0 && flame.matches[box.call.frame];
    context.fillStyle = isMatch ? pen.match : pen.fill(box);
    context.fillRect(box.x, y, box.width, rowHeight - 1);
    context.fillStyle = pen.edge;
    // Neighbors of one library are told apart by shades.
    if (!isDifference() && !isMatch && !box.isAncestor) {
        context.globalAlpha = 0.1 * (Math.imul(box.call.key + 1, 0x9e3779b1) >>> 30);
        context.fillRect(box.x, y, box.width, rowHeight - 1);
        context.globalAlpha = 1;
    }
    if (box.width > 3) context.fillRect(box.x + box.width - 1, y, 1, rowHeight);
    // Seen without color too: what was found has a bar under its name, what is selected a frame around it.
    context.fillStyle = context.strokeStyle = pen.text;
    if (isMatch && box.width > 12) context.fillRect(box.x, y + rowHeight - 4, box.width - 1, 2);
    if (box.call === flame.selected) {
        context.lineWidth = 2;
        context.strokeRect(box.x + 1, y + 1, Math.max(1, box.width - 3), rowHeight - 3);
    }
    const room = Math.floor((box.width - 8) / pen.letterWidth);
    if (room < 3) return;
    context.fillText(fittingName(flameLabel(box.call), room), box.x + 4, y + rowHeight / 2);
}

function flameLabel(call) {
    const name = call.frame < 0 ? "everything" : shortName(frames.name(call.frame)) + (frames.isAsync(call.frame) ? " [async]" : "");
    return isDifference() ? `${figureText(call.change, state.unit, true)}  ${name}` : name;
}

/// A label in at most `room` letters. What distinguishes names stands at their end: of "clang::Sema::ActOnTag" first the outer
/// names go. A figure before the name stays.
function fittingName(label, room) {
    const start = label.indexOf("  ") + 1;
    const figure = label.slice(0, start);
    let name = label.slice(start);
    while (figure.length + name.length > room) {
        const at = name.slice(0, name.length - 2).indexOf("::");
        if (at < 0) return (figure + name).slice(0, room - 1).trimEnd() + "…";
        name = (start ? " " : "") + name.slice(at + 2);
    }
    return figure + name;
}

/// The variable of a box's color: its library or part of the program, or in comparisons what part of it is new or gone.
function flameColor({ call, isAncestor }) {
    if (isDifference()) {
        if (call.change === 0) return "--change-none";
        const part = Math.abs(call.change) / call.weight;
        return `--change-${call.change > 0 ? "up" : "down"}-${part > 2 / 3 ? 3 : part > 1 / 3 ? 2 : 1}`;
    }
    if (isAncestor || call.frame < 0) return "--call-ancestor";
    if (frames.isSystem(call.frame)) return "--call-system";
    return `--call-${flame.palette.get(colorKey(call.frame)) ?? 5}`;
}

/// What frames of one color have in common: the library; where nearly everything is in one, the part of the program that the
/// name tells of: "clang::Sema" of C++, "Inventory.Item" of Swift, else the source file.
function colorKey(frame) {
    if (!flame.byPart) return strings[data.frames.module[frame]];
    if (!flame.parts) flame.parts = new Map();
    if (!flame.parts.has(frame)) flame.parts.set(frame, partOf(frame));
    return flame.parts.get(frame);
}

function partOf(frame) {
    const name = shortName(frames.name(frame)).replace(/^(?:(?:void|bool|int|unsigned|auto|static|const|decltype\(auto\)) )+/, "");
    const outer = name.split("::");
    if (outer.length > 1) return outer.slice(0, Math.min(2, outer.length - 1)).join("::");
    if (frames.file(frame)) return fileName(frames.file(frame));
    return fileName(frames.module(frame));
}

/// Gives the libraries, or parts of the program, with the largest figures colors of their own. The order is that of all that was
/// ever allocated, so that a color stays when another metric is chosen.
function choosePalette() {
    const largestFirst = sums => [...sums].sort((a, b) => b[1] - a[1]);
    const sums = new Map();
    const weights = new Float64Array(nodes.count);
    for (let row = 0; row < costs.node.length; row++) {
        const site = costs.site[row], bytes = Math.max(0, costs.now.totalBytes[row]);
        weights[costs.node[row]] += bytes;
        if (site >= 0 && !frames.isSystem(site)) sums.set(colorKey(site), (sums.get(colorKey(site)) ?? 0) + bytes);
    }
    let ranking = largestFirst(sums);
    flame.byPart = ranking.length > 0 && ranking[0][1] > 0.8 * ranking.reduce((sum, [, bytes]) => sum + bytes, 0);
    if (flame.byPart) {
        // By the area that they take: a part is seen wherever it calls, not only where it allocates.
        const areas = new Map();
        for (let node = nodes.count - 1; node > 0; node--) {
            weights[nodes.parent[node]] += weights[node];
            const frame = nodes.frame[node];
            if (!frames.isSystem(frame)) areas.set(colorKey(frame), (areas.get(colorKey(frame)) ?? 0) + weights[node]);
        }
        ranking = largestFirst(areas);
    }
    ranking.slice(0, 5).forEach(([key], index) => flame.palette.set(key, index));
}

/// What a difference is counted from.
function beforeName() {
    return isComparison ? "before" : generationName(state.against);
}

// ---- What is said about a call

function callLines(call) {
    const { root } = flame.graph;
    const name = call.frame < 0 ? "Everything" : frames.name(call.frame) + (frames.isAsync(call.frame) ? " [async parent]" : "");
    const origin = call.frame < 0 ? "" : call.hasOneLine ? frames.origin(call.frame) : frames.origin(call.frame).replace(/:\d+/, " (several lines)");
    const shares = [`${figureText(isDifference() ? call.now : call.weight, state.unit)}`];
    if (isDifference()) shares.push(`${figureText(call.change, state.unit, true)} against ${beforeName()}`);
    else shares.push(`${shareText(call.weight, root.weight)} of all`);
    if (!isDifference() && flame.focus.parent) shares.push(`${shareText(call.weight, flame.focus.weight)} of what is shown`);
    const own = flame.graph.own(call);
    if (!isDifference() && !state.invert && call.parent && own > 0) shares.push(`${figureText(own, state.unit)} allocated by itself`);
    return { name, origin, figures: shares.join(", ") };
}

function describeCall(call) {
    const { name, origin, figures } = callLines(call);
    byID("graph-details").replaceChildren(
        element("strong", {}, figures), element("br"), element("code", {}, name), element("br"), element("span", { class: "hint" }, origin));
}

function showGraphStatus() {
    const { root } = flame.graph;
    const parts = [];
    if (!(root.weight > 0)) parts.push("Nothing to show: no stack has any of this.");
    else if (flame.focus.parent) parts.push(`Zoomed into ${shortName(frames.name(flame.focus.frame))}: ${callLines(flame.focus).figures}.`);
    else if (isDifference()) parts.push(`All calls: ${figureText(root.now, state.unit)} now, ${figureText(root.change, state.unit, true)} against ${beforeName()}.`);
    else parts.push(`All calls: ${figureText(root.weight, state.unit)}.`);
    if (flame.matches) {
        const matched = matchedWeight(flame.graph.rows, flame.matches);
        parts.push(`“${state.search}” stands on stacks of ${figureText(matched, state.unit)}, ${shareText(matched, root.weight)} of all.`);
    }
    byID("graph-status").textContent = parts.join(" ");
    byID("zoom-out").disabled = !flame.focus.parent;
}

// ---- Mouse and keyboard

function boxAt(event) {
    const container = byID("flame"), bounds = byID("flame-canvas").getBoundingClientRect();
    const x = event.clientX - bounds.left;
    const level = flame.levels[Math.floor((event.clientY - bounds.top + container.scrollTop) / rowHeight)];
    return level?.find(box => x >= box.x && x < box.x + box.width);
}

function zoomInto(call) {
    flame.selected = call;
    ask({ zoom: call.path });
}

function select(call) {
    flame.selected = call;
    const container = byID("flame"), y = call.depth * rowHeight;
    if (y < container.scrollTop) container.scrollTop = y;
    else if (y + rowHeight > container.scrollTop + container.clientHeight) container.scrollTop = y + rowHeight - container.clientHeight;
    drawFlame();
    describeCall(call);
}

function walk(key) {
    const call = flame.selected;
    const level = flame.levels[call.depth] ?? [];
    const index = level.findIndex(box => box.call === call);
    switch (key) {
    case "ArrowUp": return call.parent;
    case "ArrowDown": return flame.levels[call.depth + 1]?.find(box => box.call.parent === call)?.call;
    case "ArrowLeft": return level[index - 1]?.call;
    case "ArrowRight": return level[index + 1]?.call;
    case "Home": return flame.focus;
    }
}

function listenToFlame() {
    const canvas = byID("flame-canvas"), tooltip = byID("tooltip");
    canvas.addEventListener("mousemove", event => {
        const box = boxAt(event);
        tooltip.hidden = !box;
        if (!box) return;
        const { name, origin, figures } = callLines(box.call);
        tooltip.textContent = [figures, name, origin].filter(Boolean).join("\n");
        const { width, height } = tooltip.getBoundingClientRect();
        tooltip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4))}px`;
        tooltip.style.top = `${event.clientY + 18 + height < innerHeight ? event.clientY + 18 : Math.max(4, event.clientY - height - 10)}px`;
    });
    canvas.addEventListener("mouseleave", () => { tooltip.hidden = true; });
    canvas.addEventListener("click", event => {
        const box = boxAt(event);
        tooltip.hidden = true;
        if (box) zoomInto(box.call);
    });
    canvas.addEventListener("keydown", event => {
        if (event.ctrlKey || event.altKey || event.metaKey) return;
        const next = walk(event.key);
        if (next) select(next);
        else if (event.key === "Enter" || event.key === " ") zoomInto(flame.selected);
        else if (event.key === "Backspace" && flame.focus.parent) zoomInto(flame.focus.parent);
        else if (event.key === "Escape") zoomInto(flame.graph.root);
        else if (!event.key.startsWith("Arrow")) return;
        event.preventDefault();
    });
    byID("flame").addEventListener("scroll", () => requestAnimationFrame(drawFlame));
}
