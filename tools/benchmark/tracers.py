# tracers.py: the profilers that are compared: how a command is run under each, and what each leaves behind.
import glob
import json
import os
import shutil
import struct
import subprocess

from benchmark.measurement import Failure

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Tracer:
    """A way to run a command. This one adds nothing."""

    name = "native"
    package = None
    collectors = ()
    most_rounds = None  # None: as many as are asked for

    def missing(self):
        """Why it cannot be used here; None when it can."""
        return None

    def command(self, command, environment, folder):
        return command, environment

    def outputs(self, folder):
        return []

    def output_size(self, folder):
        return sum(os.path.getsize(path) for path in self.outputs(folder))


class TraceMalloc(Tracer):
    """Ours. Options go to `tracemalloc run`."""

    name = "tracemalloc"
    collectors = ("tracemalloc",)

    def __init__(self, executable, options=(), name=None):
        self.executable = executable
        self.options = list(options)
        self.name = name or self.name

    def command(self, command, environment, folder):
        run = [self.executable, "run", "--quiet", "--force", "-o", os.path.join(folder, "out.tmalloc"), *self.options]
        return [*run, "--", *command], environment

    def outputs(self, folder):
        return glob.glob(os.path.join(folder, "out.tmalloc"))

    def statistics(self, folder):
        """What `tracemalloc stats` says about the last run; a run that is not whole is a failure."""
        command = [self.executable, "stats", "--format", "json", os.path.join(folder, "out.tmalloc")]
        statistics = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        processes = statistics["processes"]
        lost = sum(process["lostEvents"] + process["lostStacks"] for process in processes)
        if lost or not statistics["complete"]:
            raise Failure(f"{' '.join(statistics['command'])[:200]}: {lost} events or stacks were lost, or the recording is not whole")
        return statistics


class Heaptrack(Tracer):
    name = "heaptrack"
    package = "heaptrack"
    collectors = ("heaptrack", "heaptrack_inter", "zstd", "gzip")

    def missing(self):
        return None if shutil.which("heaptrack") else "there is no heaptrack"

    def command(self, command, environment, folder):
        return ["heaptrack", "-o", os.path.join(folder, "heaptrack"), *command], environment

    def outputs(self, folder):
        return glob.glob(os.path.join(folder, "heaptrack.*"))


class DHAT(Tracer):
    name = "DHAT"
    package = "valgrind"
    most_rounds = 1  # it takes twenty times as long and more

    def missing(self):
        return None if shutil.which("valgrind") else "there is no valgrind"

    def command(self, command, environment, folder):
        return ["valgrind", "--tool=dhat", f"--dhat-out-file={folder}/dhat.out", *command], environment

    def outputs(self, folder):
        return glob.glob(os.path.join(folder, "dhat.out*"))


class Jemalloc(Tracer):
    """Sampled, every 512 KiB on average, on another allocator: no peer in exactness, but the usual choice for production."""

    name = "jemalloc"
    package = "libjemalloc2"

    def __init__(self):
        self.library = next(iter(glob.glob("/usr/lib/*/libjemalloc.so.2")), None)

    def missing(self):
        return None if self.library else "there is no libjemalloc.so.2"

    def command(self, command, environment, folder):
        options = f"prof:true,prof_final:true,lg_prof_sample:19,prof_prefix:{folder}/jemalloc"
        return command, environment | {"LD_PRELOAD": self.library, "MALLOC_CONF": options}

    def outputs(self, folder):
        return glob.glob(os.path.join(folder, "jemalloc.*"))


class Oracle:
    """An independent counter, preloaded behind our library: both see the same calls of the same run."""

    def __init__(self, compiled):
        self.compiled = compiled

    def prepare(self, environment, folder):
        """It counts into files beside itself."""
        place = os.path.join(folder, "oracle")
        shutil.rmtree(place, ignore_errors=True)
        os.mkdir(place)
        library = os.path.join(place, "oracle.so")
        shutil.copy(self.compiled, library)
        return environment | {"LD_PRELOAD": library}

    def check(self, statistics, folder):
        """The profiler's figures must be the oracle's; returns the number of events."""
        processes = statistics["processes"]
        pids = {process["pid"] for process in processes}
        counted = [0, 0, 0, 0]
        for path in glob.glob(os.path.join(folder, "oracle", "[0-9]*")):
            with open(path, "rb") as file:
                pid, *counts = struct.unpack_from("<6Q", file.read())
            if pid in pids:
                counted = [sum(pair) for pair in zip(counted, counts)]
        names = ("allocations", "frees", "bytesAllocated", "bytesFreed")
        ours = [sum(process[name] for process in processes) for name in names]
        if ours != counted:
            raise Failure(f"{' '.join(statistics['command'])[:200]}: {', '.join(names)} are {ours} but the oracle counted {counted}")
        return sum(process["collector"]["events"] for process in processes)
