#!/usr/bin/env python3
# profiled.py: what the measuring tools share: where the command is, building test programs, running, reading, reporting.
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = os.path.join(ROOT, "Tests", "Programs")


def command():
    """The command under test: TRACEMALLOC_BIN, or the release build."""
    chosen = os.environ.get("TRACEMALLOC_BIN")
    if chosen:
        return os.path.abspath(chosen)
    built = subprocess.run([os.path.join(ROOT, "tools", "build"), "release"], check=True, stdout=subprocess.PIPE, text=True)
    return os.path.join(ROOT, built.stdout.strip())


class Scratch(tempfile.TemporaryDirectory):
    """A directory that is removed at the end. PATH / "name" is a path in it."""

    def __enter__(self):
        return self

    def __truediv__(self, name):
        return os.path.join(self.name, name)


def build(source, to, *flags):
    """Builds a program of Tests/Programs as the end-to-end tests do."""
    path = os.path.join(PROGRAMS, source)
    compiler = ["g++", "-std=c++17"] if source.endswith(".cpp") else ["gcc", "-std=gnu17"]
    subprocess.run([*compiler, "-g", "-O1", "-fno-builtin", "-pthread", path, "-o", to, *flags], check=True)
    return to


def environment(**changes):
    """Small and always the same, so that counts are the same too."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "HOME": "/nonexistent", **changes}


def stats(tracemalloc, file):
    text = subprocess.run([tracemalloc, "stats", file, "--format", "json"], check=True, capture_output=True, text=True).stdout
    return json.loads(text)["processes"]


def lines(tracemalloc, file, metric):
    """(file name, line) → (bytes, count) of all processes."""
    options = ["--by", "line", "--metric", metric, "--top", "1000000", "--format", "json"]
    text = subprocess.run([tracemalloc, "report", file, *options], check=True, capture_output=True, text=True).stdout
    result = {}
    for one in json.loads(text)["statistics"]:
        site = one["site"]
        result[os.path.basename(site["file"] or "?"), site["line"]] = (one["bytes"], one["count"])
    return result


def unmet_claims(tracemalloc, file, output):
    """What Tests/Programs/claims.h wrote about lines and the profiler says otherwise, in sentences."""
    claims = [line.split() for line in output.splitlines() if line.startswith(("claim total", "claim alive"))]
    for kind, metric in (("total", "total"), ("alive", "current")):
        chosen = [words for words in claims if words[1] == kind]
        found = lines(tracemalloc, file, metric) if chosen else {}
        for _, _, place, size, count in chosen:
            name, number = os.path.basename(place).rsplit(":", 1)
            tally = found.get((name, int(number)), (0, 0))
            if tally != (int(size), int(count)):
                yield f"{name}:{number} {kind}: {size} bytes in {count} blocks, found {tally[0]} in {tally[1]}"
    if not claims:
        yield f"no claims: {output}"


# The fields that the profiler and the oracle (Tests/Programs/Oracle) both know.
FIELDS = (
    "allocations", "frees", "bytesAllocated", "bytesFreed", "unknownFrees", "currentBlocks", "currentBytes", "peakBytes", "peakBlocks")


class Oracle:
    """The independent counter, as a library to preload."""

    def __init__(self, scratch):
        self.library = build("Oracle/oracle.c", scratch / "oracle.so", "-shared", "-fPIC")
        self.folder = scratch / "counts"

    def run(self, arguments, preload=(), timeout=120):
        """Runs a program under the oracle; returns its result and the figures of its process images that allocated."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder)
        link = os.path.join(self.folder, "o")
        os.symlink(self.library, link)
        variables = environment(LD_PRELOAD=":".join([link, *preload]))
        result = subprocess.run(arguments, env=variables, capture_output=True, text=True, timeout=timeout)
        found = []
        for name in os.listdir(self.folder):
            if name != "o":
                with open(os.path.join(self.folder, name), "rb") as file:
                    words = struct.unpack("10Q", file.read())
                found.append(dict(zip(FIELDS, words[1:])))
        return result, figures(found)


def figures(processes, ignoring=()):
    """The comparable figures of processes that did anything, in an order that does not depend on pids."""
    names = [name for name in FIELDS if name not in ignoring]
    return sorted(tuple(one[name] for name in names) for one in processes if one["allocations"] or one["frees"] or one["unknownFrees"])


class Tally:
    """How often something was tried and failed; says each failure at once, and the row at the end."""

    def __init__(self, what):
        self.what, self.tried, self.failed = what, 0, 0

    def check(self, failures, replay):
        self.tried += 1
        if failures:
            self.failed += 1
            print(f"{self.what}: FAILED: {replay}", *failures, sep="\n    ", flush=True)
        elif sys.stderr.isatty():
            print(f"\r{self.what}: {self.tried} tried, {self.failed} failed", end="", file=sys.stderr, flush=True)

    def row(self, note=""):
        print(f"{self.what}: {self.tried} tried, {self.failed} failed{note}", flush=True)
        return self.failed == 0 and self.tried > 0
