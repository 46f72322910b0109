// ModuleSymbols.swift: the frames of one module's addresses: debug information first, symbol tables where there is none.
import AllocationProfile
import CElfutils

/// Reads one module's files and names its addresses. Belongs to one thread.
struct ModuleSymbols {
    private let path: String
    private let isSystemModule: Bool
    private let asked: AddressSet
    private let debugInfo: DebugInfo?
    private let symbols: SymbolTable?

    private var demangler = Demangler()
    // By the pointer that libdw gives out: the same file or function is looked up for thousands of addresses.
    private var names: [UnsafePointer<CChar>: FunctionName] = [:]
    private var files: [UnsafePointer<CChar>: SourceFile] = [:]
    /// Functions without a mangled name, by declaration: the same plain name can be many functions.
    private var localNames: [UnsafeMutableRawPointer: FunctionName] = [:]
    /// By text: units name the same headers, and snapshots keep one copy of a name.
    private var filesByName: [String: SourceFile] = [:]

    private static let mostQualifiedNames = 2_000

    private struct SourceFile {
        var name: String
        var isSystem: Bool
    }

    init(path: String, files: ModuleFiles, asked: AddressSet) {
        self.path = path
        self.asked = asked
        isSystemModule = CallSiteRule.isSystemModule(path: path)
        debugInfo = files.debugInfo(asked)
        // Symbols name what the debug information does not; most often nothing.
        let isComplete = debugInfo.map { info in (0..<asked.count).allSatisfy { !info.scopes(at: $0).isEmpty } } ?? false
        symbols = isComplete ? nil : SymbolTable(files: files.symbolFiles, asked: asked)
    }

    /// Frames of an asked address, innermost first, at least one. `Frame.address` is left to the caller.
    mutating func frames(at index: Int) -> [Frame] {
        guard let debugInfo else { return [frame(symbolFunction(at: index), nil, isInlined: false)] }
        let unit = debugInfo.unit(at: index)
        var position = unit.flatMap { debugInfo.position(of: asked.addresses[index], unit: $0) }
        let scopes = debugInfo.scopes(at: index)
        guard !scopes.isEmpty else { return [frame(symbolFunction(at: index), position, isInlined: false)] }

        var frames: [Frame] = []
        frames.reserveCapacity(scopes.count)
        for scope in scopes.reversed() {
            let isInlined = debugInfo.scopes[scope].isInlined
            let function = name(of: scope, in: debugInfo) ?? (isInlined ? nil : symbolFunction(at: index))
            // Code that belongs to no line is charged to the line of its function.
            if position == nil || position?.line == 0, !isCompilerGenerated(position) {
                position = debugInfo.declaration(of: scope) ?? position
            }
            frames.append(frame(function, position, isInlined: isInlined))
            if isInlined { position = debugInfo.callPosition(of: scope) }
        }
        return frames
    }

    private mutating func frame(_ function: FunctionName?, _ position: DebugInfo.Position?, isInlined: Bool) -> Frame {
        let file = position?.file.map { sourceFile($0) }
        let line = position.flatMap { $0.line > 0 ? $0.line : nil }
        var frame = Frame(function: function?.text, file: file?.name, line: line, module: path, isInlined: isInlined)
        frame.isSystem = CallSiteRule.isSystem(
            kind: function?.rule ?? .user, isSystemFile: file?.isSystem ?? false, hasLine: line != nil, isSystemModule: isSystemModule)
        return frame
    }

    private mutating func isCompilerGenerated(_ position: DebugInfo.Position?) -> Bool {
        position?.file.map { sourceFile($0).name.hasSuffix("<compiler-generated>") } ?? false
    }

    private mutating func symbolFunction(at index: Int) -> FunctionName? {
        symbols?.name(at: index).map { demangler.name(of: $0) }
    }

    private mutating func name(of scope: Int, in debugInfo: DebugInfo) -> FunctionName? {
        if let mangled = debugInfo.linkageName(of: scope) {
            if let known = names[mangled] { return known }
            let name = demangler.name(of: String(cString: mangled))
            names[mangled] = name
            return name
        }
        guard let key = debugInfo.declarationKey(of: scope) else { return nil }
        if let known = localNames[key] { return known }
        // Past the limit plain names have to do: each qualified one costs a walk over its unit.
        let qualified = localNames.count < Self.mostQualifiedNames ? debugInfo.qualifiedName(of: scope) : nil
        let name = qualified.map { FunctionName(qualified: $0) } ?? debugInfo.plainName(of: scope).map { demangler.name(of: $0) }
        localNames[key] = name
        return name
    }

    private mutating func sourceFile(_ pointer: UnsafePointer<CChar>) -> SourceFile {
        if let known = files[pointer] { return known }
        let name = String(cString: pointer)
        let file = filesByName[name] ?? SourceFile(name: name, isSystem: CallSiteRule.isSystemFile(name))
        filesByName[name] = file
        files[pointer] = file
        return file
    }
}
