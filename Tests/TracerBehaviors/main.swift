// main.swift: shows all behaviors, or does what one test needs of a program that links the tracer.
//
//   TracerBehaviors             prints a line for each behavior; exit code 1 when one is not shown
//   TracerBehaviors WORDS       shows the one behavior with these words in its sentence
//   TracerBehaviors load [N]    looks for leaks N times, 100 by default, while eight threads work
//   TracerBehaviors outgrown    shows that memory which became too small for the tracer hides no leaks
//   TracerBehaviors list        prints the sentences
//   TracerBehaviors recorded    to be run under `tracemalloc run`: allocates, marks, and prints what the API says
//   TracerBehaviors started     prints whether it is traced, how many frames are kept, and where a block came from
//   TracerBehaviors idle        prints whether it is traced before and after start()
//
// CPython's own suite (3.11, test_tracemalloc.py) has 48 tests. 47 are transplanted:
//   TestTraceback 1, TestSnapshot 13, TestFilters 5    AllocationProfileTests (CallStackTests, SnapshotTests, TraceTests, FilterTests)
//   TestTracemallocEnabled 14                          here: Life-, Memory-, Traceback-, Snapshot- and ThreadBehaviors
//   TestCAPI 6                                         here: the first six of DomainBehaviors; in C: Tests/CTracerBehaviors
//   TestCommandLine 8 of 9                             EndToEndTests: TRACEMALLOC_START in TracerTests and ByHandTests, -X as
//                                                      `run --frames` in StackTests and RefusalTests, malloc(0) in CountingTests
// Not transplanted: test_env_var_ignored_with_E, as no switch makes a program ignore its environment.
// Different on purpose: domain 0 cannot be tracked in (CPython mixes it with malloc's blocks), overlapping ranges are an error
// (CPython keeps both), and a recursive frame is charged once in cumulative statistics (CPython charges it twice).
import Glibc
import TraceMalloc

let behaviors =
    lifeBehaviors + memoryBehaviors + tracebackBehaviors + snapshotBehaviors + domainBehaviors + hostileBehaviors + threadBehaviors
    + leakBehaviors + cycleBehaviors

switch CommandLine.arguments.dropFirst().first {
case nil:
    var allShown = true
    for behavior in behaviors { allShown = await behavior.check() && allShown }
    exit(allShown ? 0 : 1)
case "load":
    let count = CommandLine.arguments.count > 2 ? Int(CommandLine.arguments[2]) ?? 100 : 100
    let looking = Behavior("\(count) looks at a program without leaks find none") { try await lookUnderLoad(times: count) }
    exit(await looking.check() ? 0 : 1)
case "outgrown":
    exit(await outgrownBehavior.check() ? 0 : 1)
case "list":
    for behavior in behaviors { print(behavior.sentence) }
case "recorded":
    print("tracing before start: \(AllocationTracer.isTracing)")
    try AllocationTracer.start(frames: 1)
    print("tracing after start: \(AllocationTracer.isTracing)")
    let first = allocate(1234)
    AllocationTracer.markGeneration("from the program")
    let second = allocateElsewhere(4321)
    try trackSlot(first.address, 34, domain: 5)
    try trackSlot(first.address + 100, 66, domain: 5)
    try AllocationTracer.untrack(first.address, domain: 5)
    do {
        _ = try AllocationTracer.takeSnapshot()
        print("snapshot: taken")
    } catch {
        print("snapshot: \(error)")
    }
    print("traced memory: \(AllocationTracer.tracedMemory.current.bytes)")
    AllocationTracer.stop()
    print("tracing after stop: \(AllocationTracer.isTracing)")
    print("lines: \(first.line) \(second.line)")
case "started":
    // To be run with TRACEMALLOC_START=N.
    print("tracing: \(AllocationTracer.isTracing)")
    print("frames: \(AllocationTracer.frameLimit)")
    let early = allocate(11)
    print("traceback: \(AllocationTracer.traceback(containing: early.address)?.site ?? "none")")
case "idle":
    print("tracing before start: \(AllocationTracer.isTracing)")
    try AllocationTracer.start()
    print("tracing after start: \(AllocationTracer.isTracing)")
    let block = allocate(99)
    print("traceback: \(AllocationTracer.traceback(containing: block.address)?.site ?? "none")")
    AllocationTracer.stop()
case let words?:
    // One behavior alone, by a part of its sentence.
    guard let behavior = behaviors.first(where: { $0.sentence.contains(words) }) else {
        print("no behavior has \"\(words)\" in its sentence")
        exit(2)
    }
    exit(await behavior.check() ? 0 : 1)
}
