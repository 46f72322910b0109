# workloads.py: what is run: small programs that stress one thing each, and real programs.
import functools
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field

from benchmark import inputs
from benchmark.measurement import Failure

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")


@dataclass
class Workload:
    name: str
    group: str
    program: str  # the executable; without a slash: of the system, skipped where it is not installed
    arguments: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)
    peers: tuple = ("heaptrack",)
    drive: object = None
    # Runs allocate alike: each timed run must have as many events as the one that was checked against the oracle.
    is_repeatable: bool = True

    def missing(self):
        return None if os.path.exists(self.program) or shutil.which(self.program) else f"there is no {self.program}"

    @property
    def command(self):
        return [self.program, *self.arguments]


class Place:
    """The folder that inputs and compiled programs lie in."""

    def __init__(self, folder):
        self.folder = folder

    @functools.cache
    def compiled(self, source):
        """The path of a compiled program of ours."""
        path = os.path.join(self.folder, source.split(".")[0])
        compilers = {
            "c": ["cc", "-O2", "-g", "-fno-builtin", "-pthread"],
            "cpp": ["c++", "-std=c++17", "-O2", "-g", "-pthread"],
            "swift": ["swiftc", "-O", "-g"],
        }
        subprocess.run([*compilers[source.split(".")[1]], "-o", path, os.path.join(PROGRAMS, source)], check=True)
        return path

    @functools.cache
    def input(self, make, *sizes):
        return make(self.folder, *sizes)


def all_workloads(place, scale):
    """Yields functions that make a workload, by name, so that only the chosen ones are compiled. `scale` is 1, or less for a quick look."""

    def scaled(count):
        return max(1000, int(count * scale))

    def own(name, group, source, *arguments, **more):
        return name, group, lambda: Workload(name, group, place.compiled(source), [str(argument) for argument in arguments], **more)

    def system(name, program, make, **more):
        def workload():
            arguments = make() if shutil.which(program) else []
            return Workload(name, "programs", program, arguments, **more)
        return name, "programs", workload

    sampled = ("heaptrack", "jemalloc")
    every = ("heaptrack", "DHAT", "jemalloc")
    # What a tracer takes before and after any program.
    yield own("start", "start", "pairs.c", 1, 1, 1000, peers=sampled)
    # All others are long enough that this, tens of milliseconds to some hundred, is not what is measured.
    for depth, pairs in ((1, 1e7), (20, 1e7), (50, 3e6), (100, 3e6)):
        yield own(f"pair-{depth}", "pairs", "pairs.c", depth, 1, scaled(pairs), peers=every if depth == 20 else ("heaptrack",))
    for threads in (2, 8):
        yield own(f"threads-{threads}", "threads", "pairs.c", 20, threads, scaled(3e6), peers=sampled)
    yield own("live-1M", "live", "live_blocks.c", scaled(1e6), peers=sampled)
    yield own("live-10M", "live", "live_blocks.c", scaled(1e7))
    yield own("survivors", "shapes", "survivors.c", scaled(2e6), peers=every)
    yield own("realloc", "shapes", "reallocating.c", max(1, int(200 * scale)))
    yield own("recursion", "shapes", "recursing.c", scaled(1e6))

    yield system("sqlite3", "sqlite3", lambda: [":memory:", f".read {place.input(inputs.sql, scaled(480000))}"], peers=every)
    yield system("jq", "jq", lambda: [
        "-S", "group_by(.group) | map({(.[0].group): map(.tags[0])})", place.input(inputs.json_records, scaled(120000))], peers=every)
    yield system("git", "git", lambda: ["-C", place.input(inputs.git_repository, 60, max(20, int(1600 * scale))), "log", "-p", "--stat"],
                 environment={"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_PAGER": "cat"}, peers=sampled)
    # By its path: another python3 on PATH may be a script.
    yield system("python3", "/usr/bin/python3", lambda: ["-S", place.input(inputs.python, scaled(120000))],
                 environment={"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}, peers=sampled)
    yield system("clang++", "clang++", lambda: [
        "-std=c++20", "-O1", "-c", "-o", os.path.join(place.folder, "heavy.o"),
        place.input(inputs.heavy_cxx, max(1, int(8 * scale)))],
        # Its tables hash addresses, which differ from run to run.
        is_repeatable=False)
    yield own("swift", "programs", "collections.swift", scaled(80000), peers=sampled,
              # Otherwise the seed of the hash tables differs from run to run, and with it when they grow.
              environment={"SWIFT_DETERMINISTIC_HASHING": "1"})
    yield own("pipeline", "programs", "pipeline.cpp", scaled(40000), peers=sampled, is_repeatable=False)
    socket = os.path.join(place.folder, "redis.socket")
    yield system("redis", "redis-server", lambda: [
        "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--daemonize", "no"],
        drive=functools.partial(load_redis, socket, scaled(100000)), is_repeatable=False)


def load_redis(socket, requests, server):
    """Waits for the server, loads it from fixed tests, shuts it down; returns requests a second over all tests."""
    client = ["redis-cli", "-s", socket]
    deadline = time.monotonic() + 60
    while subprocess.run([*client, "ping"], capture_output=True).stdout.strip() != b"PONG":
        if time.monotonic() > deadline or server.poll() is not None:
            raise Failure("redis-server does not answer")
        time.sleep(0.05)
    tests = "set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset"
    start = time.monotonic()
    subprocess.run(
        ["redis-benchmark", "-s", socket, "-q", "-n", str(requests), "-r", "20000", "-d", "100", "-c", "20", "-P", "4", "-t", tests],
        check=True, capture_output=True)
    seconds = time.monotonic() - start
    subprocess.run([*client, "shutdown", "nosave"], capture_output=True)
    return requests * len(tests.split(",")) / seconds
