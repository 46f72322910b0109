# measurement.py: runs a command to the very end, collectors included, and says what it took.
import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass


class Failure(Exception):
    """A workload or a tracer did not do what it must: the run of the benchmark fails with this sentence."""


@dataclass
class Sample:
    """One run. The times are those of the whole process tree: the program, the tracer's command and its collector."""

    wall: float
    cpu: float
    output: int = 0  # bytes of the tracer's file
    throughput: float | None = None  # requests a second, of servers


@dataclass
class Memory:
    """Peaks of resident memory in bytes; shared memory counts on both sides."""

    program: int = 0
    collector: int = 0
    tables: int = 0  # the collector's own, without what it shares with the program


def adopt_orphans():
    """Collectors that outlive the command become our children: a run ends when they have ended."""
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(command, environment, folder, drive=None, memory=None, collectors=()):
    """Runs `command` and everything that it starts. `drive`, if given, talks to the running program and returns its throughput.

    With `memory` it is watched, which disturbs times: `collectors` are the names of processes that are not the program.
    """
    log = os.path.join(folder, "stderr")
    with open(log, "wb") as errors:
        start = time.monotonic()
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
            start_new_session=True)
        watch = Watch(process.pid, memory, collectors) if memory is not None else None
        try:
            throughput = drive(process) if drive else None
            cpu, code = reap(process)
            wall = time.monotonic() - start
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            if watch:
                watch.stop()
    if code != 0:
        with open(log, errors="replace") as errors:
            said = errors.read()[-2000:].strip()
        raise Failure(f"{' '.join(command)[:200]}: exit code {code}\n{said}")
    return Sample(wall=wall, cpu=cpu, throughput=throughput)


def reap(process):
    """Waits for the process and for all that it left to us; returns the CPU time of all and the process's exit code."""
    cpu, code = 0.0, None
    while True:
        try:
            pid, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return cpu, code
        cpu += usage.ru_utime + usage.ru_stime
        if pid == process.pid:
            code = process.returncode = os.waitstatus_to_exitcode(status)


class Watch:
    """Looks at the resident memory of a session's processes, again and again until it is stopped."""

    def __init__(self, session, memory, collectors):
        self.session, self.memory, self.collectors = session, memory, collectors
        self.peaks, self.own = {}, {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.look_until_ended)
        self.thread.start()

    def stop(self):
        self.ended.set()
        self.thread.join()
        programs = [peak for (_, name), peak in self.peaks.items() if name not in self.collectors]
        self.memory.program = max(programs, default=0)
        self.memory.collector = sum(peak for (_, name), peak in self.peaks.items() if name in self.collectors)
        self.memory.tables = sum(peak for (_, name), peak in self.own.items() if name in self.collectors)

    def look_until_ended(self):
        while not self.ended.wait(0.01):
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    self.look(int(entry))

    def look(self, pid):
        try:
            if os.getsid(pid) != self.session:
                return
            with open(f"/proc/{pid}/status") as status:
                fields = dict(line.split(":\t", 1) for line in status if ":\t" in line)
        except (OSError, ProcessLookupError):
            return
        key = (pid, fields["Name"].strip())
        for name, peaks in (("VmHWM", self.peaks), ("RssAnon", self.own)):
            if name in fields:
                peaks[key] = max(peaks.get(key, 0), int(fields[name].split()[0]) * 1024)
