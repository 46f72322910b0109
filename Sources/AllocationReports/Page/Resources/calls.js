// calls.js: the selected rows as a graph of calls, from the outermost call inward or from the allocation outward.
//
// Both are made as far as they are looked at: the calls of a box are found when it is drawn wide enough to be seen, so that
// the first picture of a hundred thousand stacks costs no more than its boxes.

/// A box of the graph: the calls of one function with the same callers (inverted: with the same callees).
class Call {
    constructor(frame, parent, key) {
        this.frame = frame;
        this.parent = parent;
        this.key = key;
        this.depth = parent ? parent.depth + 1 : 0;
        this.weight = 0;
        this.now = 0;
        this.change = 0;
        this.hasOneLine = true;
        this.kids = null;
    }

    /// Keys of the calls from the outermost one to this: its name in the URL.
    get path() {
        const keys = [];
        for (let call = this; call.parent; call = call.parent) keys.unshift(call.key.toString(36));
        return keys.join(".");
    }
}

class CallGraph {
    constructor(rows, hidesSystem) {
        this.rows = rows;
        this.isHidden = node => hidesSystem && frames.isSystem(nodes.frame[node]);
        this.root = new Call(-1, null, -1);
        for (let row = 0; row < rows.node.length; row++) {
            this.root.weight += rows.weight[row];
            this.root.now += rows.now[row];
            this.root.change += rows.change ? rows.change[row] : 0;
        }
    }

    /// Calls of `call`, widest first.
    children(call) {
        if (!call.kids) call.kids = this.makeChildren(call).filter(kid => kid.weight > 0).sort((a, b) => b.weight - a.weight || a.key - b.key);
        return call.kids;
    }

    /// What the call did itself: no call of it is charged with it.
    own(call) {
        let own = call.weight;
        for (const kid of this.children(call)) own -= kid.weight;
        return Math.max(0, own);
    }

    find(path) {
        let call = this.root;
        for (const key of path.split(".").filter(Boolean)) {
            const next = this.children(call).find(kid => kid.key === parseInt(key, 36));
            if (!next) return call;
            call = next;
        }
        return call;
    }

    /// The child of `parent` in `groups` that `frame` belongs to, made if there is none.
    group(groups, parent, frame) {
        const key = functionOf[frame];
        let kid = groups.get(key);
        if (!kid) groups.set(key, kid = new Call(frame, parent, key));
        else if (kid.frame !== frame) kid.hasOneLine = false;
        return kid;
    }
}

/// From the outermost call inward. A box stands for nodes of the tree, none of which is under another.
class CallsInward extends CallGraph {
    constructor(rows, hidesSystem) {
        super(rows, hidesSystem);
        const sum = column => {
            const sums = new Float64Array(nodes.count);
            for (let row = 0; row < rows.node.length; row++) sums[rows.node[row]] += column[row];
            for (let node = nodes.count - 1; node > 0; node--) sums[nodes.parent[node]] += sums[node];
            return sums;
        };
        this.weights = sum(rows.weight);
        this.nows = rows.change ? sum(rows.now) : this.weights;
        this.changes = rows.change ? sum(rows.change) : null;
        this.root.nodes = [0];
    }

    makeChildren(call) {
        const groups = new Map();
        const pending = [...call.nodes];
        while (pending.length) {
            for (let node = nodes.firstChild[pending.pop()]; node; node = nodes.nextSibling[node]) {
                if (!(this.weights[node] > 0)) continue;
                if (this.isHidden(node)) {
                    pending.push(node);
                    continue;
                }
                const kid = this.group(groups, call, nodes.frame[node]);
                kid.weight += this.weights[node];
                kid.now += this.nows[node];
                if (this.changes) kid.change += this.changes[node];
                (kid.nodes ??= []).push(node);
            }
        }
        return [...groups.values()];
    }
}

/// From the allocation outward. A box stands for rows, each with the node at which its stack has been walked to.
class CallsOutward extends CallGraph {
    constructor(rows, hidesSystem) {
        super(rows, hidesSystem);
        this.root.rows = Int32Array.from(rows.node.keys()).filter(row => rows.weight[row] > 0);
        this.root.at = null;
    }

    makeChildren(call) {
        const groups = new Map();
        for (let index = 0; index < call.rows.length; index++) {
            const row = call.rows[index];
            let node = call.at ? nodes.parent[call.at[index]] : this.rows.node[row];
            while (node && this.isHidden(node)) node = nodes.parent[node];
            if (!node) continue;
            const kid = this.group(groups, call, nodes.frame[node]);
            kid.weight += this.rows.weight[row];
            kid.now += this.rows.now[row];
            if (this.rows.change) kid.change += this.rows.change[row];
            (kid.rows ??= []).push(row);
            (kid.at ??= []).push(node);
        }
        return [...groups.values()];
    }
}

/// The part of the rows whose stack has a frame that matches.
function matchedWeight(rows, matches) {
    const isUnder = new Uint8Array(nodes.count);
    for (let node = 1; node < nodes.count; node++) isUnder[node] = isUnder[nodes.parent[node]] | matches[nodes.frame[node]];
    let sum = 0;
    for (let row = 0; row < rows.node.length; row++) if (isUnder[rows.node[row]]) sum += rows.weight[row];
    return sum;
}
