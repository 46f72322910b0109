// format.js: numbers in words, names made short, and elements made of text.
"use strict";

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

/// Sizes as the command prints them: "5719 B", "39.1 KiB", signed "+5000 B".
function sizeText(bytes, signed = false) {
    const sign = bytes < 0 ? "−" : signed ? "+" : "";
    let value = Math.abs(bytes);
    for (const unit of units) {
        if (value < 100 && unit !== "B") return `${sign}${value.toFixed(1)} ${unit}`;
        if (value < 10240 || unit === "TiB") return `${sign}${Math.round(value)} ${unit}`;
        value /= 1024;
    }
}

/// A round number of bytes in the unit in which it is round: "5 MiB".
function binaryText(bytes) {
    const power = bytes < 1 ? 0 : Math.min(4, Math.floor(Math.log2(bytes) / 10));
    return `${Number((bytes / 1024 ** power).toPrecision(4))} ${units[power]}`;
}

function numberText(value, signed = false) {
    const sign = value < 0 ? "−" : signed ? "+" : "";
    return sign + Math.abs(value).toLocaleString("en-US");
}

function countText(value, noun, plural = noun + "s") {
    return `${numberText(value)} ${Math.abs(value) === 1 ? noun : plural}`;
}

/// A figure in the unit that is asked for.
function figureText(value, unit, signed = false) {
    return unit === "bytes" ? sizeText(value, signed) : numberText(value, signed) + (Math.abs(value) === 1 ? " block" : " blocks");
}

function tallyText(bytes, count) {
    return `${sizeText(bytes)} in ${countText(count, "block")}`;
}

function shareText(part, whole) {
    if (!whole) return "0 %";
    const share = 100 * part / whole;
    return share !== 0 && Math.abs(share) < 0.05 ? "< 0.1 %" : `${share.toFixed(1)} %`;
}

function durationText(seconds) {
    if (!(seconds >= 0)) return "unknown time";
    if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
    if (seconds >= 60) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
    if (seconds >= 1) return `${seconds.toFixed(2)} s`;
    if (seconds >= 0.01) return `${Math.round(seconds * 1000)} ms`;
    return `${(seconds * 1000).toFixed(1)} ms`;
}

/// At most so many letters, with the middle left out.
function elided(text, most) {
    if (text.length <= most) return text;
    const half = Math.floor((most - 1) / 2);
    return `${text.slice(0, half)}…${text.slice(text.length - half)}`;
}

function fileName(path) {
    return path.slice(path.lastIndexOf("/") + 1) || path;
}

/// A function name without its parameters and with template arguments left out: "std::map<…>::find". Names that do not nest
/// as expected stay as they are. One pass: names may be long.
function shortName(name) {
    if (name.startsWith("[") || name.length < 24) return name;
    let result = "", angles = 0, rounds = 0;
    for (let i = 0; i < name.length; i++) {
        const letter = name[i];
        if (angles === 0 && rounds === 0 && name.startsWith("operator", i)) {
            const symbol = /^operator(\(\)|[<>=!+\-*\/%^&|~\[\],]+| ?)/.exec(name.slice(i, i + 16));
            result += symbol[0];
            i += symbol[0].length - 1;
        } else if (letter === "<") {
            if (angles++ === 0 && rounds === 0) result += "<…>";
        } else if (letter === ">" && name[i - 1] !== "-") {
            if (--angles < 0) return name;
        } else if (letter === "(") {
            // "(anonymous namespace)::f" is a part of the name, parameters are its end.
            if (angles === 0 && rounds === 0 && name.startsWith("(anonymous namespace)", i)) {
                result += "(anonymous)";
                i += "(anonymous namespace)".length - 1;
            } else {
                rounds++;
            }
        } else if (letter === ")") {
            if (--rounds < 0) return name;
        } else if (angles === 0 && rounds === 0) {
            result += letter;
        }
    }
    return angles === 0 && rounds === 0 && result.trim() ? result.replace(/ const$/, "") : name;
}

/// An element with attributes, listeners ("onclick") and children. Children that are no elements become text, never markup.
function element(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    setAttributes(node, attributes);
    node.append(...children.filter(child => child !== null && child !== undefined));
    return node;
}

function svgElement(name, attributes = {}, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    setAttributes(node, attributes);
    node.append(...children);
    return node;
}

function setAttributes(node, attributes) {
    for (const [key, value] of Object.entries(attributes)) {
        if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
        else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
    }
}

function byID(id) {
    return document.getElementById(id);
}
