// JSONTextTests.swift: the JSON writer keeps the order of fields and escapes what it must.
import Testing

@testable import AllocationReports

@Suite struct JSONTextTests {
    @Test func fieldsKeepTheirOrderAndOuterLevelsHaveLines() {
        let value = JSONValue.object([
            ("z", .integer(1)), ("a", .array([.object([("x", .null), ("b", .bool(true))]), .number(0.5)])), ("e", .array([])),
        ])
        #expect(
            value.text(outerLevels: 2) == """
                {
                  "z": 1,
                  "a": [
                    {"x": null, "b": true},
                    0.5
                  ],
                  "e": []
                }

                """)
        #expect(value.text(outerLevels: 0) == "{\"z\": 1, \"a\": [{\"x\": null, \"b\": true}, 0.5], \"e\": []}\n")
    }

    @Test func stringsAreEscaped() {
        let text = JSONValue.string("\"\\\n\r\t\u{0}\u{1b}\u{7f}\u{9b}\u{2028}ü🐦</script>").text(outerLevels: 0)
        #expect(text == #""\"\\\n\r\t\u0000\u001b\u007f\u009b\u2028ü🐦</script>""# + "\n")
    }

    @Test func numbersThatJSONDoesNotKnowAreNull() {
        #expect(JSONValue.array([.number(.nan), .number(.infinity), .number(1e-7)]).text(outerLevels: 0) == "[null, null, 1e-07]\n")
    }
}
