// Frame.swift: one named line of a call stack.

/// One place in the program: a frame of a call stack, with as much of its name as is known.
public struct Frame: Hashable, Sendable, Codable {
    /// Demangled function name.
    public var function: String?
    /// Source file as the debug information has it.
    public var file: String?
    /// Line in `file`, from 1.
    public var line: Int?
    /// Path of the executable or shared library.
    public var module: String?
    /// Offset of the return address in `module`'s address space (what its symbol table uses), or the run-time address where
    /// there is no module.
    public var address: UInt64?
    /// Type of the objects, where the frame stands for those of one type; else nil.
    public var type: String?
    /// The function was inlined into the next outer frame.
    public var isInlined: Bool
    /// An async parent: it awaits the next inner frame and was not on the stack.
    public var isAsync: Bool
    /// Allocator, language runtime or standard library: not to be charged when a caller can be.
    package var isSystem: Bool

    /// A frame of which some things are known.
    public init(
        function: String? = nil, file: String? = nil, line: Int? = nil, module: String? = nil, address: UInt64? = nil,
        isInlined: Bool = false, isAsync: Bool = false
    ) {
        self.function = function
        self.file = file
        self.line = line
        self.module = module
        self.address = address
        self.isInlined = isInlined
        self.isAsync = isAsync
        self.isSystem = false
    }
}
