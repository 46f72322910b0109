// StandardType.swift: types of the standard library that mangled names abbreviate, or whose insides would only make paths longer.

/// A type whose name and form are known without its metadata. The forms are part of the standard library's stable interface.
enum StandardType: String, Hashable, Sendable {
    case int = "Swift.Int"
    case uint = "Swift.UInt"
    case bool = "Swift.Bool"
    case double = "Swift.Double"
    case float = "Swift.Float"
    case string = "Swift.String"
    case character = "Swift.Character"
    case substring = "Swift.Substring"
    case array = "Swift.Array"
    case contiguousArray = "Swift.ContiguousArray"
    case arraySlice = "Swift.ArraySlice"
    case dictionary = "Swift.Dictionary"
    case set = "Swift.Set"
    case optional = "Swift.Optional"
    case range = "Swift.Range"
    case closedRange = "Swift.ClosedRange"
    case pointer = "Swift.UnsafePointer"
    case mutablePointer = "Swift.UnsafeMutablePointer"
    case rawPointer = "Swift.UnsafeRawPointer"
    case mutableRawPointer = "Swift.UnsafeMutableRawPointer"
    case bufferPointer = "Swift.UnsafeBufferPointer"
    case mutableBufferPointer = "Swift.UnsafeMutableBufferPointer"
    case rawBufferPointer = "Swift.UnsafeRawBufferPointer"
    case mutableRawBufferPointer = "Swift.UnsafeMutableRawBufferPointer"
    case objectIdentifier = "Swift.ObjectIdentifier"
    case task = "Swift.Task"
    case unsafeContinuation = "Swift.UnsafeContinuation"
    case mainActor = "Swift.MainActor"
    case taskPriority = "Swift.TaskPriority"
    case unmanaged = "Swift.Unmanaged"

    /// By the letter after `S`.
    static let byLetter: [UInt8: StandardType] = [
        UInt8(ascii: "i"): .int, UInt8(ascii: "u"): .uint, UInt8(ascii: "b"): .bool, UInt8(ascii: "d"): .double,
        UInt8(ascii: "f"): .float, UInt8(ascii: "S"): .string, UInt8(ascii: "J"): .character, UInt8(ascii: "s"): .substring,
        UInt8(ascii: "a"): .array, UInt8(ascii: "D"): .dictionary, UInt8(ascii: "h"): .set, UInt8(ascii: "q"): .optional,
        UInt8(ascii: "n"): .range, UInt8(ascii: "N"): .closedRange, UInt8(ascii: "P"): .pointer, UInt8(ascii: "p"): .mutablePointer,
        UInt8(ascii: "V"): .rawPointer, UInt8(ascii: "v"): .mutableRawPointer, UInt8(ascii: "R"): .bufferPointer,
        UInt8(ascii: "r"): .mutableBufferPointer, UInt8(ascii: "W"): .rawBufferPointer, UInt8(ascii: "w"): .mutableRawBufferPointer,
        UInt8(ascii: "O"): .objectIdentifier,
    ]

    /// By the letter after `Sc`: the concurrency library's.
    static let byConcurrencyLetter: [UInt8: StandardType] = [
        UInt8(ascii: "T"): .task, UInt8(ascii: "U"): .unsafeContinuation, UInt8(ascii: "M"): .mainActor,
        UInt8(ascii: "P"): .taskPriority,
    ]

    /// Protocols that mangled names abbreviate, by the letter after `S`.
    static let protocols: [UInt8: String] = [
        UInt8(ascii: "Q"): "Swift.Equatable", UInt8(ascii: "H"): "Swift.Hashable", UInt8(ascii: "L"): "Swift.Comparable",
        UInt8(ascii: "E"): "Swift.Encodable", UInt8(ascii: "e"): "Swift.Decodable", UInt8(ascii: "T"): "Swift.Sequence",
        UInt8(ascii: "t"): "Swift.IteratorProtocol", UInt8(ascii: "l"): "Swift.Collection",
        UInt8(ascii: "K"): "Swift.BidirectionalCollection",
        UInt8(ascii: "k"): "Swift.RandomAccessCollection", UInt8(ascii: "M"): "Swift.MutableCollection",
        UInt8(ascii: "m"): "Swift.RangeReplaceableCollection", UInt8(ascii: "B"): "Swift.BinaryFloatingPoint",
        UInt8(ascii: "F"): "Swift.FloatingPoint", UInt8(ascii: "G"): "Swift.RandomNumberGenerator", UInt8(ascii: "j"): "Swift.Numeric",
        UInt8(ascii: "X"): "Swift.RangeExpression", UInt8(ascii: "x"): "Swift.Strideable", UInt8(ascii: "Y"): "Swift.RawRepresentable",
        UInt8(ascii: "y"): "Swift.StringProtocol", UInt8(ascii: "Z"): "Swift.SignedInteger", UInt8(ascii: "z"): "Swift.BinaryInteger",
        UInt8(ascii: "U"): "Swift.UnsignedInteger",
    ]
}
