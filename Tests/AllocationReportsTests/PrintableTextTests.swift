// PrintableTextTests.swift: nothing that a traced program calls itself can reach the terminal as it is.
import Testing

@testable import AllocationReports

@Suite struct PrintableTextTests {
    @Test(arguments: [
        ("plain name", "plain name"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"), ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
        ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"), ("a\u{202e}b\u{2028}c", "a\\u{202e}b\\u{2028}c"), ("größe 🐦", "größe 🐦"), ("", ""),
    ])
    func controlCharactersAreEscaped(text: String, printed: String) {
        #expect(PrintableText.name(text) == printed)
    }

    @Test func everyControlCharacterIsEscaped() {
        for value in Array(0..<0x20) + Array(0x7f..<0xa0) {
            let printed = PrintableText.name(String(Unicode.Scalar(UInt8(value))))
            #expect(printed.unicodeScalars.allSatisfy { (0x20..<0x7f).contains($0.value) })
        }
    }

    @Test func longNamesLoseTheirMiddle() {
        #expect(PrintableText.name("abcdefghij", limit: 7) == "abc…hij")
        #expect(PrintableText.name("abcdefghij", limit: 10) == "abcdefghij")
        #expect(PrintableText.name(String(repeating: "x", count: 10_000)).count == PrintableText.longestName)
    }

    @Test func commandsAreQuotedAsAShellReadsThem() {
        #expect(PrintableText.command(["jq", ". | length", "it's", "", "a=b"]) == #"jq '. | length' 'it'\''s' '' a=b"#)
    }

    @Test(arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567"), (Int.min, "-9,223,372,036,854,775,808")])
    func numbersAreGrouped(number: Int, printed: String) {
        #expect(PrintableText.number(number) == printed)
    }

    @Test(arguments: [
        (0.0004, "0.4 ms"), (0.25, "250 ms"), (1.25, "1.25 s"), (59.999, "60.00 s"), (125, "2 min 5 s"), (7260, "2 h 1 min"),
        (.nan, "unknown time"), (-1, "unknown time"), (.infinity, "unknown time"),
    ])
    func durationsHaveReadableUnits(seconds: Double, printed: String) {
        #expect(PrintableText.duration(seconds) == printed)
    }

    @Test func sharesOfNothingAreZero() {
        #expect(PrintableText.percent(5, of: 0) == "0.0 %")
        #expect(PrintableText.percent(1, of: 3) == "33.3 %")
    }
}
