// main.swift: shows all behaviors, or does what one test needs of a program that links the tracer.
//
//   TracerBehaviors             prints a line for each behavior; exit code 1 when one is not shown
//   TracerBehaviors list        prints the sentences
//   TracerBehaviors recorded    to be run under `tracemalloc run`: allocates, marks, and prints what the API says
//   TracerBehaviors started     prints whether it is traced, how many frames are kept, and where a block came from
//   TracerBehaviors idle        prints whether it is traced before and after start()
import Glibc
import TraceMalloc

let behaviors = lifeBehaviors + memoryBehaviors + tracebackBehaviors + snapshotBehaviors + domainBehaviors + threadBehaviors

switch CommandLine.arguments.dropFirst().first {
case nil:
    var allShown = true
    for behavior in behaviors { allShown = await behavior.check() && allShown }
    exit(allShown ? 0 : 1)
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
default:
    print("unknown argument")
    exit(2)
}
