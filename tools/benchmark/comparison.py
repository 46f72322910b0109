# comparison.py: a workload under several tracers, interleaved, and what the medians say.
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, field

from benchmark import measurement
from benchmark.measurement import Failure, Memory


@dataclass
class Row:
    """A workload under one tracer. Figures are medians over the rounds; what is compared is compared within each round, as the
    machine is faster in one than in another."""

    workload: str
    tracer: str
    wall: float  # seconds
    cpu: float
    added_wall: float = 0
    added_cpu: float = 0
    # Our added time over this tracer's: below 1, we are faster.
    ratio_wall: float | None = None
    ratio_cpu: float | None = None
    slowdown: float = 1
    throughput: float | None = None
    program_memory: int = 0
    collector_memory: int = 0
    output: int = 0
    events: int | None = None
    samples: list = field(default_factory=list)


# Seconds. What takes less, a machine that is shared changes more from one run to the next: it is run about twice as often.
SHORT = 4


def rounds_of_short(rounds):
    return rounds if rounds < 5 else 2 * rounds + 1


class Comparison:
    def __init__(self, native, ours, peers, oracle, rounds):
        self.native, self.ours, self.peers, self.oracle, self.rounds = native, ours, peers, oracle, rounds

    def rows(self, workload):
        """Runs everything; the first row is the native one, the second ours."""
        peers = [peer for peer in self.peers if peer.name in workload.peers]
        tracers = [self.native, *self.ours, *peers]
        with tempfile.TemporaryDirectory(prefix="bench.") as folder:
            events = self.check(workload, folder)
            memories = {tracer.name: self.look(workload, tracer, folder) for tracer in tracers}
            samples = {tracer.name: [] for tracer in tracers}
            rounds = self.rounds
            while len(samples[self.native.name]) < rounds:
                # There and back: what a machine that slows down does to those who come later it does to each.
                for tracer in tracers if len(samples[self.native.name]) % 2 == 0 else tracers[::-1]:
                    if len(samples[tracer.name]) < (tracer.most_rounds or rounds):
                        samples[tracer.name].append(self.sample(workload, tracer, folder, events))
                done = samples[self.native.name]
                if done[0].wall < SHORT:
                    rounds = rounds_of_short(self.rounds)
                progress(f"{workload.name}: round {len(done)} of {rounds}")
        progress("")
        rows = [row(workload.name, tracer.name, samples[tracer.name], memories[tracer.name]) for tracer in tracers]
        compare(rows, samples, len(self.ours))
        for ours in rows[1:1 + len(self.ours)]:
            ours.events = events
        return rows

    def check(self, workload, folder):
        """One run with the oracle behind us: the same calls, so the same figures. Returns the number of events."""
        tracer = self.ours[0]
        environment = self.oracle.prepare(os.environ | workload.environment, folder)
        command, environment = tracer.command(workload.command, environment, folder)
        measurement.run(command, environment, folder, workload.drive)
        return self.oracle.check(tracer.statistics(folder), folder)

    def look(self, workload, tracer, folder):
        """One run for the memory, which is looked at while it runs."""
        memory = Memory()
        command, environment = tracer.command(workload.command, os.environ | workload.environment, folder)
        measurement.run(command, environment, folder, workload.drive, memory, tracer.collectors)
        self.forget(tracer, folder)
        return memory

    def sample(self, workload, tracer, folder, events):
        command, environment = tracer.command(workload.command, os.environ | workload.environment, folder)
        sample = measurement.run(command, environment, folder, workload.drive)
        sample.output = tracer.output_size(folder)
        if tracer in self.ours:
            statistics = tracer.statistics(folder)
            counted = sum(process["collector"]["events"] for process in statistics["processes"])
            if workload.is_repeatable and tracer is self.ours[0] and counted != events:
                raise Failure(f"{workload.name}: {counted} events, where the run that was checked had {events}")
        self.forget(tracer, folder)
        return sample

    def forget(self, tracer, folder):
        for path in tracer.outputs(folder):
            os.unlink(path)


def row(workload, tracer, samples, memory):
    rates = [sample.throughput for sample in samples if sample.throughput]
    return Row(
        workload, tracer, wall=statistics.median(sample.wall for sample in samples),
        cpu=statistics.median(sample.cpu for sample in samples), throughput=statistics.median(rates) if rates else None,
        program_memory=memory.program, collector_memory=memory.collector, output=samples[-1].output,
        samples=[[round(sample.wall, 4), round(sample.cpu, 4)] for sample in samples])


def compare(rows, samples, ours_count):
    """Fills in what depends on the native row and on ours."""

    def median(traced, figure):
        return statistics.median(figure(one, native) for one, native in zip(samples[traced.tracer], samples[rows[0].tracer]))

    for traced in rows[1:]:
        traced.added_wall = median(traced, lambda one, native: one.wall - native.wall)
        traced.added_cpu = median(traced, lambda one, native: one.cpu - native.cpu)
        traced.slowdown = median(
            traced, lambda one, native: native.throughput / one.throughput if one.throughput else one.wall / native.wall)
    ours = rows[1]
    for peer in rows[1 + ours_count:]:
        if peer.added_wall > 0:
            peer.ratio_wall = ours.added_wall / peer.added_wall
        if peer.added_cpu > 0:
            peer.ratio_cpu = ours.added_cpu / peer.added_cpu


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
