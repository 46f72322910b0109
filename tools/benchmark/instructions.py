# instructions.py: instructions of an allocation and its free, counted by callgrind: the same on a busy machine as on a quiet one.
#
# Counted are the functions that each event goes through. How often a thread reads the clock or waits, and how many rounds the
# collector makes, depends on how fast the machine is, and more so under callgrind.
import concurrent.futures
import os
import re
import subprocess
import tempfile

from benchmark.measurement import Failure
from benchmark.tracers import TOP

ACCEPTED = os.path.join(TOP, "tools", "benchmark", "instructions.txt")
# Between two runs they differ by 2 %: how often a ring is full, and which way is taken then, depends on time.
TOLERANCE = 0.05
TRACED_PAIRS, COLLECTOR_PAIRS = 10000, 40000
# As callgrind_annotate names functions.
TRACED = re.compile(r":(?:malloc|free|quick_(?:malloc|free)|tm_unwinder_stack|stack_by_pairs) \[.*libtracemalloc")
COLLECTOR = re.compile(r":\S*AllocationRecording6UnsafeO\S*(?:Merge|Ledger|LiveTable|Segment|StackRows)\S* \[")


def measure(executable, place):
    """Instructions by name: of the traced side for each pair at several depths, of the collector for each event."""
    program = place.compiled("pairs.c")
    with tempfile.TemporaryDirectory(prefix="bench.") as folder:
        # Valgrind 3.19 cannot read the debug information of newer compilers; the code is the same.
        command, library = (os.path.join(folder, name) for name in ("tracemalloc", "libtracemalloc.so"))
        for stripped in (command, library):
            unstripped = os.path.join(os.path.dirname(executable), os.path.basename(stripped))
            subprocess.run(["objcopy", "--strip-debug", unstripped, stripped], check=True)
        native = dict(os.environ)
        traced = native | {
            "TRACEMALLOC": os.path.join(folder, "%p.tmalloc"), "TRACEMALLOC_COLLECTOR": executable, "LD_PRELOAD": library}
        # Two at a time: the name is the default one, which has the process id.
        run = [command, "run", "--quiet", "--"]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            def per_pair(functions, command, depth, environment, pairs):
                """The difference of two runs: without start and end."""
                counts = [pool.submit(count, functions, [*command, program, str(depth), "1", str(number)], environment, folder)
                          for number in (pairs, 2 * pairs)]
                return lambda: (counts[1].result() - counts[0].result()) / pairs

            collector = per_pair(COLLECTOR, run, 20, native, COLLECTOR_PAIRS)
            depths = {depth: per_pair(TRACED, [], depth, traced, TRACED_PAIRS) for depth in (1, 20, 50)}
            figures = {f"traced program, a pair at depth {depth}": pair() for depth, pair in depths.items()}
            figures["collector, an event"] = collector() / 2
    return {name: round(figure, 1) for name, figure in figures.items()}


def count(functions, command, environment, folder):
    """Instructions of the functions, without those that they call."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix="callgrind.") as counts:
        # Not the wrapper script: it would be traced.
        valgrind = ["valgrind.bin", "--tool=callgrind", f"--callgrind-out-file={counts.name}"]
        result = subprocess.run([*valgrind, *command], env=environment, cwd=folder, capture_output=True, text=True)
        if result.returncode:
            raise Failure(f"callgrind: {' '.join(command)}: exit code {result.returncode}\n{result.stderr[-2000:]}")
        annotate = ["callgrind_annotate", "--threshold=100", "--auto=no", counts.name]
        lines = subprocess.run(annotate, check=True, capture_output=True, text=True).stdout.splitlines()
    found = [line.split()[0] for line in lines if functions.search(line)]
    if not found:
        raise Failure(f"callgrind: {' '.join(command)}: none of the functions was called")
    return sum(int(number.replace(",", "")) for number in found)


def accepted():
    if not os.path.exists(ACCEPTED):
        return {}
    with open(ACCEPTED) as file:
        lines = [line.rstrip("\n").rsplit(":", 1) for line in file if not line.startswith("#") and line.strip()]
    return {name: float(figure) for name, figure in lines}


def accept(figures):
    with open(ACCEPTED, "w") as file:
        file.write("# instructions.txt: what a malloc and its free may cost; `tools/bench instructions --accept` writes it.\n")
        for name, figure in figures.items():
            file.write(f"{name}: {figure}\n")


def regressions(figures):
    """Sentences about figures that are worse than the accepted ones."""
    limits = accepted()
    for name, figure in figures.items():
        if name not in limits:
            yield f"{name}: {figure} instructions, and none are accepted yet"
        elif figure > limits[name] * (1 + TOLERANCE):
            yield f"{name}: {figure} instructions, accepted are {limits[name]} ({figure / limits[name] - 1:+.1%})"
