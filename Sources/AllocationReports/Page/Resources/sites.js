// sites.js: the table of call sites, sorted, filtered and expanded into stacks.

const groupings = [
    { name: "line", label: "line", key: f => frames.file(f) && frames.line(f) ? frames.place(f) : `:${functionOf[f]}`, place: frames.place },
    { name: "function", label: "function", key: f => functionOf[f], place: frames.name },
    { name: "file", label: "file", key: f => frames.file(f) || `:${frames.module(f)}`, place: f => frames.file(f) || frames.module(f) || "[unknown]" },
    { name: "module", label: "library", key: f => frames.module(f), place: f => frames.module(f) || "[unknown]" },
];

const sites = { groups: [], shown: 100, expanded: new Set() };

/// Columns of the table. `of` is what sorts.
function siteColumns() {
    const whole = { bytes: sites.total?.bytes ?? 0, count: sites.total?.count ?? 0 };
    const place = { key: "place", label: "Call site", of: group => group.place };
    const bytes = { key: "bytes", label: "Bytes", isNumber: true, of: group => group.bytes, text: group => sizeText(group.bytes) };
    const count = { key: "count", label: "Blocks", isNumber: true, of: group => group.count, text: group => numberText(group.count) };
    if (isDifference()) {
        const change = (key, label, now, old, text) => ({
            key, label, isNumber: true, of: group => Math.abs(group[now] - group[old]), text: group => text(group[now] - group[old], true),
        });
        return [
            place, { ...bytes, label: "Bytes now", isWide: true }, change("change", "Change", "bytes", "oldBytes", sizeText),
            { ...count, label: "Blocks now", isWide: true }, change("countChange", "Blocks ±", "count", "oldCount", numberText),
        ];
    }
    const [figure, unit] = state.unit === "bytes" ? ["bytes", "bytes"] : ["count", "blocks"];
    return [
        place, bytes, count,
        {
            key: "average", label: "Average", isNumber: true, isWide: true, of: group => group.count ? group.bytes / group.count : 0,
            text: group => group.count ? sizeText(group.bytes / group.count) : "",
        },
        {
            key: "figure", label: `Share of ${unit}`, isNumber: true, isWide: true, of: group => group[figure],
            text: group => shareText(group[figure], whole[figure]),
        },
    ];
}

function collectSites(rows) {
    const grouping = groupings.find(grouping => grouping.name === state.by);
    const keys = new Map(), groups = new Map();
    sites.total = { bytes: 0, count: 0 };
    for (let row = 0; row < rows.node.length; row++) {
        if (!(rows.weight[row] > 0) && !rows.bytes[row] && !rows.count[row]) continue;
        const site = rows.site[row];
        if (!keys.has(site)) keys.set(site, site < 0 ? "" : grouping.key(site));
        const key = keys.get(site);
        let group = groups.get(key);
        if (!group) {
            group = { key, site, place: site < 0 ? "[unknown]" : grouping.place(site), bytes: 0, count: 0, oldBytes: 0, oldCount: 0, rows: [] };
            groups.set(key, group);
        }
        group.rows.push(row);
        group.bytes += rows.bytes[row];
        group.count += rows.count[row];
        if (rows.oldBytes) {
            group.oldBytes += rows.oldBytes[row];
            group.oldCount += rows.oldCount[row];
        }
        sites.total.bytes += rows.bytes[row];
        sites.total.count += rows.count[row];
    }
    sites.rows = rows;
    sites.groups = [...groups.values()];
    sites.expanded.clear();
    sites.shown = 100;
}

function showSites() {
    const columns = siteColumns();
    const key = state.sort.replace(/^-/, ""), direction = state.sort.startsWith("-") ? -1 : 1;
    const column = columns.find(column => column.key === key) ?? columns[isDifference() ? 2 : 1];
    const matches = state.filter ? matchingFrames(state.filter) : null;
    const shown = sites.groups.filter(group => !matches || group.rows.some(row => sites.rows.site[row] >= 0 && matches[sites.rows.site[row]]));
    shown.sort((a, b) => {
        const [left, right] = [column.of(a), column.of(b)];
        return left === right ? b.bytes - a.bytes || (a.place < b.place ? -1 : 1) : (left < right ? -1 : 1) * direction;
    });
    const header = element("tr", {}, ...columns.map(each => element("th", {
        scope: "col", class: [each.isNumber ? "number" : "", each.isWide ? "wide" : ""].join(" ").trim() || null,
        "aria-sort": each === column ? (direction < 0 ? "descending" : "ascending") : null,
    }, element("button", { type: "button", onclick: () => sortBy(each) }, each.label + (each === column ? (direction < 0 ? " ↓" : " ↑") : "")))));
    byID("sites-table").tHead.replaceChildren(header);
    byID("sites-table").tBodies[0].replaceChildren(...shown.slice(0, sites.shown).flatMap(group => siteRows(group, columns)));
    const bytes = shown.reduce((sum, group) => sum + group.bytes, 0), count = shown.reduce((sum, group) => sum + group.count, 0);
    byID("sites-status").textContent = `${countText(shown.length, "call site")}${state.filter ? ` of ${numberText(sites.groups.length)}` : ""}: ${tallyText(bytes, count)}.`;
    byID("more").hidden = shown.length <= sites.shown;
}

function sortBy(column) {
    const isNumber = column.isNumber;
    const descending = "-" + column.key;
    ask({ sort: state.sort === descending || (!isNumber && state.sort !== column.key) ? column.key : descending });
}

function siteRows(group, columns) {
    const isExpanded = sites.expanded.has(group.key);
    const isLine = state.by === "line" && group.site >= 0 && frames.line(group.site) > 0;
    const note = group.site < 0 ? "" : isLine ? frames.name(group.site) : state.by === "line" || state.by === "function" ? frames.module(group.site) : "";
    const source = isLine ? frames.source(group.site) : "";
    const row = element("tr", {}, ...columns.map(column => {
        if (column.key !== "place") return element("td", { class: column.isWide ? "number wide" : "number" }, column.text(group));
        return element("td", { class: "place" },
            element("button", { type: "button", class: "expand", "aria-expanded": String(isExpanded), onclick: () => expand(group) }, group.place),
            source ? element("code", {}, element("small", {}, source.trim())) : null, note ? element("small", {}, note) : null);
    }));
    return isExpanded ? [row, stacksRow(group, columns.length)] : [row];
}

function expand(group) {
    if (!sites.expanded.delete(group.key)) sites.expanded.add(group.key);
    showSites();
    [...document.querySelectorAll("#sites-table .expand")].find(button => button.textContent === group.place)?.focus({ preventScroll: true });
}

/// The largest stacks of a call site.
function stacksRow(group, width) {
    const { rows } = sites, limit = 10;
    const size = row => rows.change ? Math.abs(rows.change[row]) : rows.weight[row];
    const largest = [...group.rows].sort((a, b) => size(b) - size(a));
    const parts = largest.slice(0, limit).flatMap(row => [
        element("h4", {}, tallyText(rows.bytes[row], rows.count[row])
            + (rows.oldBytes ? ` (${sizeText(rows.bytes[row] - rows.oldBytes[row], true)}, ${numberText(rows.count[row] - rows.oldCount[row], true)})` : "")),
        stackList(rows.node[row], rows.site[row]),
    ]);
    if (largest.length > limit) parts.push(element("p", { class: "hint" }, `${numberText(largest.length - limit)} smaller stacks are not listed.`));
    const name = group.site < 0 ? "" : state.by === "module" || state.by === "file" ? group.place : frames.name(group.site);
    const find = () => { ask({ search: name, zoom: "" }); byID("graph").scrollIntoView(); byID("flame-canvas").focus(); };
    return element("tr", { class: "stacks" }, element("td", { colspan: width },
        name ? element("button", { type: "button", onclick: find }, "Find in graph") : null, ...parts));
}

/// The frames of a stack, innermost first.
function stackList(node, site) {
    const list = element("ol", { class: "frames" });
    let hidden = 0, hasSite = false;
    for (; node; node = nodes.parent[node]) {
        const frame = nodes.frame[node];
        if (state.system === "hide" && frames.isSystem(frame)) {
            hidden++;
            continue;
        }
        const isSite = frame === site && !hasSite;
        hasSite ||= isSite;
        const origin = frames.file(frame) ? frames.place(frame) : fileName(frames.module(frame));
        list.append(element("li", { class: isSite ? "site" : frames.isSystem(frame) ? "system" : null },
            frames.name(frame), frames.isAsync(frame) ? " [async parent]" : null,
            origin ? element("small", { class: "system", title: frames.origin(frame) }, "  " + origin) : null,
            frames.source(frame) ? element("code", {}, frames.source(frame).trim()) : null));
    }
    if (hidden) list.append(element("li", { class: "system" }, `${countText(hidden, "runtime frame")} hidden`));
    return list;
}
