// Frame+Text.swift: the order of frames, and how a frame prints.

extension Frame: Comparable {
    /// By type, then file, then line, then everything else; what is unknown comes first.
    public static func < (left: Frame, right: Frame) -> Bool {
        if left.type != right.type { return precedes(left.type, right.type) }
        if left.file != right.file { return precedes(left.file, right.file) }
        if left.line != right.line { return precedes(left.line, right.line) }
        if left.function != right.function { return precedes(left.function, right.function) }
        if left.module != right.module { return precedes(left.module, right.module) }
        if left.address != right.address { return precedes(left.address, right.address) }
        return left.flags < right.flags
    }

    private static func precedes<Value: Comparable>(_ left: Value?, _ right: Value?) -> Bool {
        guard let right else { return false }
        guard let left else { return true }
        return left < right
    }

    private var flags: Int { (isInlined ? 4 : 0) + (isAsync ? 2 : 0) + (isSystem ? 1 : 0) }
}

extension Frame: CustomStringConvertible {
    /// What is known best: `file:line`, else `function (library)`, else `library+0x1f`. Never empty.
    public var description: String {
        if let type { return type }
        if let file, let line { return "\(file):\(line)" }
        if let function, !function.isEmpty { return module.map { "\(function) (\(Frame.fileName(of: $0)))" } ?? function }
        if let module, !module.isEmpty { return address.map { "\(Frame.fileName(of: module))+\(Frame.hexadecimal($0))" } ?? module }
        if let file, !file.isEmpty { return file }
        return address.map(Frame.hexadecimal) ?? "[unknown]"
    }

    /// `/usr/lib/libjq.so.1` is `libjq.so.1`.
    package static func fileName(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
        let name = path[path.utf8.index(after: slash)...]
        return name.isEmpty ? path : String(name)
    }

    private static func hexadecimal(_ address: UInt64) -> String { "0x" + String(address, radix: 16) }
}

// Frames that stand for something else than code. They print in brackets and are never charged when a real frame can be.
extension Frame {
    /// Outer frames that the depth limit cut off.
    package static let cut = marker("[outer frames cut off]")
    /// Stacks that found no room in the recording.
    package static let lost = marker("[stacks that found no room]")
    /// A stack without any frame.
    package static let unknown = marker(nil)

    private static func marker(_ name: String?) -> Frame {
        var frame = Frame(function: name)
        frame.isSystem = true
        return frame
    }
}
