# growth.py: how our cost grows with the number of events, with depth, with threads and with live blocks.
import os
import statistics
import tempfile
from dataclasses import dataclass

from benchmark import measurement
from benchmark.measurement import Memory


@dataclass
class GrowthRow:
    """One point. Nanoseconds an event are without what a run of next to no events takes: start, names, file."""

    what: str
    events: int
    wall_per_event: float
    cpu_per_event: float
    bytes_per_block: float | None = None


# Pairs of the run that stands for none: enough that the same stacks get names.
NONE = 1000


def rows(native, ours, place, rounds, scale):
    yield from event_rows(native, ours, place, rounds, scale)
    yield from memory_rows(ours, place, scale)


def event_rows(native, ours, place, rounds, scale):
    pairs = place.compiled("pairs.c")
    points = [(f"{exponent} events, depth 20", 20, 1, int(count * scale) // 2) for exponent, count in
              (("10⁵", 1e5), ("10⁶", 1e6), ("10⁷", 1e7), ("10⁸", 1e8))]
    points += [(f"depth {depth}", depth, 1, int(2e6 * scale)) for depth in (1, 5, 20, 50, 100)]
    points += [(f"{threads} threads, depth 20", 20, threads, int(2e6 * scale)) for threads in (1, 2, 4, 8)]
    for what, depth, threads, count in points:
        samples = {(tracer.name, number): [] for tracer in (native, ours) for number in (NONE, count)}
        with tempfile.TemporaryDirectory(prefix="bench.") as folder:
            for _ in range(rounds):
                for tracer in (native, ours):
                    for number in (NONE, count):
                        command = [pairs, str(depth), str(threads), str(number)]
                        command, environment = tracer.command(command, dict(os.environ), folder)
                        samples[tracer.name, number].append(measurement.run(command, environment, folder))

        def added(field):
            median = {key: statistics.median(getattr(sample, field) for sample in values) for key, values in samples.items()}
            run = {tracer.name: median[tracer.name, count] - median[tracer.name, NONE] for tracer in (native, ours)}
            return (run[ours.name] - run[native.name]) / (2 * (count - NONE)) * 1e9
        yield GrowthRow(what, 2 * count, added("wall"), added("cpu"))


def memory_rows(ours, place, scale):
    """The collector's own memory for each live block, beyond what it needs for none. The rings, which it shares with the program, are
    as large for many blocks as for few."""
    program = place.compiled("live_blocks.c")

    def look(blocks):
        with tempfile.TemporaryDirectory(prefix="bench.") as folder:
            memory = Memory()
            command, environment = ours.command([program, str(blocks)], dict(os.environ), folder)
            measurement.run(command, environment, folder, memory=memory, collectors=ours.collectors)
            return memory.tables, ours.statistics(folder)["collector"]["events"]

    # So short a run has ended before it was looked at a few times: which one was at its largest is chance.
    none = max(look(0)[0] for _ in range(9))
    for blocks in (int(1e6 * scale), int(1e7 * scale)):
        tables, events = look(blocks)
        yield GrowthRow(f"{blocks:,} live blocks", events, 0, 0, (tables - none) / blocks)
