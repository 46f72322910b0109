// CallStackTests.swift: how stacks, frames and sizes print.
import AllocationProfile
import Testing

@Suite struct CallStackTests {
    private let stack = CallStack([Frame(text: "a.py:2"), Frame(text: "b.py:4"), Frame(text: "c.py:7")], totalFrameCount: 9)
    private func source(_ file: String, _ line: Int) -> String? { "  <\(file), \(line)>\t\n" }

    @Test func printsOutermostFrameFirst() {
        #expect(stack.formatted() == ["  File \"c.py\", line 7", "  File \"b.py\", line 4", "  File \"a.py\", line 2"])
        #expect(stack.formatted(mostRecentFirst: true) == stack.formatted().reversed())
    }

    @Test func limitsLinesFromTheInside() {
        #expect(stack.formatted(limit: 1) == ["  File \"a.py\", line 2"])
        #expect(stack.formatted(limit: 2, mostRecentFirst: true) == ["  File \"a.py\", line 2", "  File \"b.py\", line 4"])
        #expect(stack.formatted(limit: -1) == ["  File \"c.py\", line 7", "  File \"b.py\", line 4"])
        #expect(stack.formatted(limit: -1, mostRecentFirst: true) == ["  File \"b.py\", line 4", "  File \"c.py\", line 7"])
        #expect(stack.formatted(limit: 0).isEmpty)
        #expect(stack.formatted(limit: -10).isEmpty)
        #expect(stack.formatted(limit: .min).isEmpty)
        #expect(stack.formatted(limit: .max).count == 3)
    }

    @Test func addsSourceLinesWhereTheyExist() {
        #expect(stack.formatted(limit: 1, sourceLine: source) == ["  File \"a.py\", line 2", "    <a.py, 2>"])
        #expect(stack.formatted(limit: 1, sourceLine: { _, _ in " \t" }) == ["  File \"a.py\", line 2"])
        #expect(CallStack([Frame(text: "main@/bin/jq")]).formatted(sourceLine: source) == ["  main (jq)"])
    }

    @Test func comparesFramesOnly() {
        #expect(stack == CallStack(Array(stack)))
        #expect(stack.hashValue == CallStack(Array(stack)).hashValue)
        #expect(CallStack(stack.dropLast()) < stack)
        #expect(stack[0...1].count == 2 && stack[1] == Frame(text: "b.py:4"))
    }

    @Test func describesItself() {
        #expect("\(stack)" == "a.py:2")
        #expect("\(CallStack([]))" == "[unknown]")
        #expect(stack.debugDescription == "<CallStack (a.py:2, b.py:4, c.py:7) totalFrameCount=9>")
        #expect(CallStack([Frame(text: "a.py:2")]).debugDescription == "<CallStack (a.py:2)>")
    }

    @Test func printsFramesByTheBestName() {
        #expect("\(Frame(function: "f", file: "a.c", line: 3, module: "/lib/x.so", address: 1))" == "a.c:3")
        #expect("\(Frame(function: "f", file: "a.c", module: "/lib/x.so", address: 1))" == "f (x.so)")
        #expect("\(Frame(function: "f"))" == "f")
        #expect("\(Frame(module: "/lib/x.so", address: 31))" == "x.so+0x1f")
        #expect("\(Frame(module: "/lib/x.so"))" == "/lib/x.so")
        #expect("\(Frame(module: "/lib/", address: 1))" == "/lib/+0x1")
        #expect("\(Frame(address: 31))" == "0x1f")
        #expect("\(Frame(file: "a.c"))" == "a.c")
        for empty in [Frame(), Frame(function: ""), Frame(file: ""), Frame(function: "", file: "", module: "")] {
            #expect("\(empty)" == "[unknown]")
        }
    }

    @Test func ordersFramesByFileAndLine() {
        let frames = [Frame(text: "a.c:9"), Frame(text: "a.c:10"), Frame(text: "b.c:1"), Frame(text: "f"), Frame(text: "f@x.so")]
        #expect(frames.shuffled().sorted() == [frames[3], frames[4], frames[0], frames[1], frames[2]])
        #expect(Frame(function: "f") < Frame(function: "f", isInlined: true))
        #expect(!(frames[0] < frames[0]))
    }

    @Test(arguments: [
        (0.0, "0 B", "+0 B"), (1, "1 B", "+1 B"), (1023, "1023 B", "+1023 B"), (1024, "1024 B", "+1024 B"), (5002, "5002 B", "+5002 B"),
        (10239, "10239 B", "+10239 B"), (10240, "10.0 KiB", "+10.0 KiB"), (40036, "39.1 KiB", "+39.1 KiB"),
        (102338.56, "99.9 KiB", "+99.9 KiB"), (102359.04, "100.0 KiB", "+100.0 KiB"), (102400, "100 KiB", "+100 KiB"),
        (10_485_759, "10240 KiB", "+10240 KiB"), (10_485_760, "10.0 MiB", "+10.0 MiB"), (5_368_709_120, "5120 MiB", "+5120 MiB"),
        (10_737_418_240, "10.0 GiB", "+10.0 GiB"), (10_995_116_277_760, "10.0 TiB", "+10.0 TiB"), (1e18, "909495 TiB", "+909495 TiB"),
        (-66, "-66 B", "-66 B"), (-10240, "-10.0 KiB", "-10.0 KiB"), (2.5, "2 B", "+2 B"), (3.5, "4 B", "+4 B"),
        // 10.25 and 10.75 KiB: a tie goes to the even digit. 10.25 KiB and the least bit more is no tie.
        (10496, "10.2 KiB", "+10.2 KiB"), (11008, "10.8 KiB", "+10.8 KiB"), (10496.000000000002, "10.3 KiB", "+10.3 KiB"),
    ]) func printsSizes(size: Double, plain: String, signed: String) {
        #expect(TextForm.size(size) == plain)
        #expect(TextForm.size(size, signed: true) == signed)
    }

    @Test func printsTheLargestNumbers() {
        #expect(TextForm.size(Int.max) == "8388608 TiB")
        #expect(TextForm.size(Int.min) == "-8388608 TiB")
        #expect(TextForm.size(.infinity) == "inf TiB")
        #expect(TextForm.tally(Tally(bytes: 40036, count: 7)) == "size=39.1 KiB, count=7, average=5719 B")
        #expect(TextForm.tally(Tally(bytes: 0, count: 0)) == "size=0 B, count=0")
    }
}
