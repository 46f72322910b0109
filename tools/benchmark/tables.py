# tables.py: the results as a table for people, as a page for the documentation, and as JSON.
import dataclasses
import json
import os
import platform

from benchmark import comparison

HEADINGS = ("workload", "under", "s", "added", "× native", "ours/its", "CPU s", "added CPU", "ours/its CPU", "program MB", "collector MB",
            "file MB", "ns/event")


def cells(row):
    def megabytes(count):
        return f"{count / 1e6:.1f}" if count else ""

    is_native = row.tracer == "native"
    rate = f" ({row.throughput:,.0f}/s)" if row.throughput else ""
    return (
        row.workload if is_native else "", row.tracer, f"{row.wall:.3f}{rate}", "" if is_native else f"{row.added_wall:.3f}",
        "" if is_native else f"{row.slowdown:.2f}", f"{row.ratio_wall:.3f}" if row.ratio_wall is not None else "", f"{row.cpu:.3f}",
        "" if is_native else f"{row.added_cpu:.3f}", f"{row.ratio_cpu:.3f}" if row.ratio_cpu is not None else "",
        megabytes(row.program_memory), megabytes(row.collector_memory), megabytes(row.output),
        f"{row.added_wall / row.events * 1e9:.0f}" if row.events else "")


def growth_cells(row):
    if row.bytes_per_block is not None:
        return (row.what, f"{row.events:,}", "", "", f"{row.bytes_per_block:.1f}")
    return (row.what, f"{row.events:,}", f"{row.wall_per_event:.1f}", f"{row.cpu_per_event:.1f}", "")


GROWTH_HEADINGS = ("growth", "events", "added ns/event", "added CPU ns/event", "collector bytes/block")
REPORT_HEADINGS = ("first report", "tracemalloc s", "heaptrack_print s", "ratio")


def report_cells(row):
    return (row.workload, f"{row.tracemalloc:.2f}", f"{row.heaptrack:.2f}" if row.heaptrack else "",
            f"{row.ratio:.3f}" if row.ratio is not None else "")


def tables(results):
    """(headings, rows) of each table that has rows."""
    found = [
        (HEADINGS, [cells(row) for row in results["workloads"]]),
        (REPORT_HEADINGS, [report_cells(row) for row in results["reports"]]),
        (GROWTH_HEADINGS, [growth_cells(row) for row in results["growth"]]),
        (("instructions", "figure"), [(name, f"{figure:.1f}") for name, figure in results["instructions"].items()]),
    ]
    return [(headings, rows) for headings, rows in found if rows]


# Rows of workloads are printed as they come, before the widest is known.
WIDTHS = (12, 12, 22, *[max(9, len(heading)) for heading in HEADINGS[3:]])


def text(headings, rows, with_headings=True):
    """Names to the left, numbers to the right."""
    lines = ([headings] if with_headings else []) + list(rows)
    widths = WIDTHS if headings == HEADINGS else [max(len(line[column]) for line in lines) for column in range(len(headings))]
    names = 2 if headings == HEADINGS else 1
    return "\n".join(
        "  ".join(cell.ljust(width) if column < names else cell.rjust(width) for column, (cell, width) in enumerate(zip(line, widths)))
        for line in lines)


def machine():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} processors, Linux {platform.release().split('-')[0]}"


def write_json(path, results):
    plain = {
        "machine": machine(), "rounds": results["rounds"], "scale": results["scale"], "skipped": results["skipped"],
        "workloads": [dataclasses.asdict(row) for row in results["workloads"]],
        "reports": [dataclasses.asdict(row) for row in results["reports"]],
        "growth": [dataclasses.asdict(row) for row in results["growth"]], "instructions": results["instructions"],
    }
    with open(path, "w") as file:
        json.dump(plain, file, indent=1)
        file.write("\n")


PAGE = """\
# What tracing costs

Measured beside other tools, in the same run, on the same work. `tools/bench --markdown` writes this page.

## Overview

Machine: {machine}. Medians of {rounds} rounds, in which the tracers take turns, there and back; of {more} where the program
runs for less than {short} s. DHAT runs once.{scale}

*Added* is the time beyond the native run's of the same round, from the start until the program, the tracer's command and its collector
have ended; *ours/its* is our added time divided by that tool's: below 1, we are faster. CPU seconds are those of all these processes
together. The program's memory is its largest resident size, shared memory included; so is the collector's. Before the rounds each
workload runs once with an independent counter behind the tracer: a run whose figures differ by one allocation, free or byte, fails.
*start* is a program that ends at once: what a tracer takes before and after any.
*sampled* is `tracemalloc run --sample 512K`. jemalloc's profiler samples every 512 KiB on average, too, and replaces the allocator; the
others record everything. *Collector bytes/block* are the collector's own memory, without the rings that it shares with the program: up
to 24 MiB for programs that allocate faster than it takes their events.

{tables}
"""


def write_markdown(path, results):
    def markdown(headings, rows):
        lines = [headings, ["---"] * len(headings), *rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    scale = "" if results["scale"] == 1 else f" A quick look: the work is {results['scale']} of the full one."
    page = PAGE.format(
        machine=machine(), rounds=results["rounds"], scale=scale, short=comparison.SHORT,
        more=comparison.rounds_of_short(results["rounds"]),
        tables="\n\n".join(markdown(headings, rows) for headings, rows in tables(results)))
    with open(path, "w") as file:
        file.write(page)
