# cold_report.py: how long the first report on a large recording takes, beside heaptrack_print's.
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass

from benchmark import measurement
from benchmark.measurement import Failure


@dataclass
class ReportRow:
    workload: str
    tracemalloc: float  # seconds, medians
    heaptrack: float | None
    ratio: float | None


def row(workload, ours, heaptrack, rounds):
    """Records the workload once under each, and reads both files anew in every round."""
    with tempfile.TemporaryDirectory(prefix="bench.") as folder:
        readers = {}
        for tracer in [ours] + ([heaptrack] if heaptrack else []):
            command, environment = tracer.command(workload.command, os.environ | workload.environment, folder)
            measurement.run(command, environment, folder)
            file = tracer.outputs(folder)[0]
            readers[tracer.name] = [ours.executable, "report", file] if tracer is ours else ["heaptrack_print", "-f", file]
        times = {name: [] for name in readers}
        for _ in range(rounds):
            for name, command in readers.items():
                times[name].append(seconds(command))
    medians = {name: statistics.median(values) for name, values in times.items()}
    theirs = medians.get("heaptrack")
    return ReportRow(workload.name, medians[ours.name], theirs, medians[ours.name] / theirs if theirs else None)


def seconds(command):
    start = time.monotonic()
    result = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if result.returncode:
        raise Failure(f"{' '.join(command)}: exit code {result.returncode}\n{result.stderr.decode(errors='replace')[-1000:]}")
    return time.monotonic() - start
