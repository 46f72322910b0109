// CallSiteRule.swift: which frames are allocator, language runtime or standard library. All of the rule is in this file.

/// The call-site rule: a cost is charged to the innermost frame that the rule does not call system code.
///
/// Three things are looked at: the module that holds the code, the function's name (standard libraries are inlined and
/// instantiated into other modules), and the source file. What cannot be told apart is taken for the user's: a cost that is
/// shown one frame too deep is still found, one that is shown too far out is not.
enum CallSiteRule {
    /// What a function's name says.
    enum Kind: Sendable {
        /// Somebody's code.
        case user
        /// Allocator, runtime or standard library.
        case system
        /// Compiler-made glue: to be charged only when it has a source line.
        case glue
    }

    static func isSystem(kind: Kind, isSystemFile: Bool, hasLine: Bool, isSystemModule: Bool) -> Bool {
        isSystemModule || isSystemFile || kind == .system || kind == .glue && !hasLine
    }

    // MARK: Modules

    /// Starts of file names of executables and libraries.
    private static let modules = [
        // C and C++
        "libc.so", "libc-2.", "libc.musl-", "ld-linux", "ld-musl-", "ld-2.", "ld.so", "libm.so", "libm-2.", "libmvec.so", "libpthread",
        "libdl.so", "libdl-2.", "librt.so", "librt-2.", "libresolv", "libnss_", "libanl", "libstdc++.so", "libsupc++", "libc++.so",
        "libc++abi.so", "libgcc_s", "libunwind.so", "libunwind-", "linux-vdso", "[vdso]", "linux-gate",
        // Allocators that programs load in front of the C library's
        "libjemalloc", "libtcmalloc", "libmimalloc",
        // Swift
        "libswift", "libFoundation", "lib_FoundationICU", "libdispatch", "libBlocksRuntime", "lib_Internal", "lib_Testing_",
        // Rust
        "libstd-",
        // The profiler itself
        "libtracemalloc", "libTraceMalloc",
    ]

    static func isSystemModule(path: String) -> Bool {
        let name = path.lastIndex(of: "/").map { path[path.index(after: $0)...] } ?? path[...]
        return modules.contains { name.hasPrefix($0) }
    }

    // MARK: Source files

    private static let files = ["<compiler-generated>"]

    /// Folders of headers and of sources that compilers bring along.
    private static let folders = [
        "/usr/include/c++/", "/include/c++/", "/libstdc++-v3/", "/libcxx/include/", "/libcxx/src/", "/rustlib/src/rust/library/",
        "/swift/stdlib/public/", "/swift-corelibs-foundation/Sources/", "/swift-foundation/Sources/", "/swift-corelibs-libdispatch/src/",
        "/CShims/CInterposer/",
    ]

    static func isSystemFile(_ file: String) -> Bool {
        if files.contains(file) || file.hasSuffix("/<compiler-generated>") { return true }
        if folders.contains(where: { file.firstPosition(of: $0) != nil }) { return true }
        // Rust's precompiled library: /rustc/<commit>/library/…
        return file.hasPrefix("/rustc/") && file.firstPosition(of: "/library/") != nil
    }

    // MARK: C

    private static let functions: Set<String> = [
        "malloc", "calloc", "realloc", "reallocarray", "free", "cfree", "posix_memalign", "aligned_alloc", "memalign", "valloc", "pvalloc",
        "malloc_usable_size", "free_sized", "free_aligned_sized", "strdup", "strndup", "asprintf", "vasprintf", "getline", "getdelim",
        "__libc_malloc", "__libc_calloc", "__libc_realloc", "__libc_free", "__libc_memalign", "__libc_start_main", "_start", "__strdup",
        // Debug functions of Rust's allocator that are not in a crate
        "__rust_alloc", "__rust_alloc_zeroed", "__rust_realloc", "__rust_dealloc", "__rdl_alloc", "__rdl_alloc_zeroed", "__rdl_realloc",
        "__rg_alloc", "__rg_alloc_zeroed", "__rg_realloc", "_Block_copy", "_Block_release",
    ]

    /// Well-known wrappers of libraries and programs that only check or count: calling one is allocating.
    private static let wrappers: Set<String> = [
        // GNU programs, git
        "xmalloc", "xcalloc", "xzalloc", "xrealloc", "xreallocarray", "xstrdup", "xstrndup", "xmemdup", "xmallocz", "do_xmalloc",
        // GLib
        "g_malloc", "g_malloc0", "g_malloc_n", "g_malloc0_n", "g_realloc", "g_realloc_n", "g_try_malloc", "g_try_malloc0", "g_try_realloc",
        "g_strdup", "g_strndup", "g_memdup", "g_memdup2", "g_slice_alloc", "g_slice_alloc0",
        // jq, SQLite, CPython, Perl, redis, OpenSSL, FFmpeg, nginx
        "jv_mem_alloc", "jv_mem_alloc_unguarded", "jv_mem_calloc", "jv_mem_calloc_unguarded", "jv_mem_realloc", "jv_mem_strdup",
        "sqlite3MemMalloc", "sqlite3MemRealloc", "sqlite3Malloc", "sqlite3_malloc", "sqlite3_malloc64", "sqlite3_realloc",
        "sqlite3_realloc64", "PyMem_Malloc", "PyMem_Calloc", "PyMem_Realloc", "PyMem_RawMalloc", "PyMem_RawCalloc", "PyMem_RawRealloc",
        "PyObject_Malloc", "PyObject_Calloc", "PyObject_Realloc", "_PyMem_RawMalloc", "_PyMem_RawCalloc", "_PyMem_RawRealloc",
        "_PyObject_Malloc", "_PyObject_Calloc", "_PyObject_Realloc", "Perl_safesysmalloc", "Perl_safesyscalloc", "Perl_safesysrealloc",
        "zmalloc", "zcalloc", "zcalloc_num", "zrealloc", "ztrymalloc", "ztrycalloc", "ztryrealloc", "zstrdup", "CRYPTO_malloc",
        "CRYPTO_zalloc", "CRYPTO_realloc", "CRYPTO_strdup", "CRYPTO_memdup", "av_malloc", "av_mallocz", "av_calloc", "av_realloc",
        "ngx_alloc", "ngx_calloc", "ngx_memalign",
    ]

    /// Runtimes that are linked statically: their symbols have no modules of their own.
    private static let functionPrefixes = [
        "swift_", "_swift_", "__swift_", "dispatch_", "_dispatch_", "tracemalloc_", "__interceptor_", "__cxa_",
    ]

    static func kind(ofC name: String) -> Kind {
        let plain = name.hasSuffix("@plt") ? String(name.dropLast(4)) : name
        if functions.contains(plain) || wrappers.contains(plain) { return .system }
        // Glue: programs may use such names too, but then there is debug information.
        return functionPrefixes.contains { plain.hasPrefix($0) } ? .glue : .user
    }

    // MARK: C++

    /// How mangled names go on behind `_Z` and the marks of nesting: std and its abbreviations, the libraries' own namespaces, the
    /// allocation operators.
    private static let cPlusPlusNames = [
        "St", "Sa", "Sb", "Ss", "Si", "So", "Sd", "9__gnu_cxx", "10__cxxabiv1", "11__gnu_debug", "12__gnu_parallel", "nw", "na", "dl", "da",
    ]

    /// Swift's runtime; the compiler's namespace too, but that has debug information where it is a user's program.
    private static let cPlusPlusGlue = ["5swift"]

    /// By mangled name, because it begins with the function: the readable one begins with the return type.
    static func kind(ofCPlusPlus mangled: String) -> Kind {
        var rest = mangled.dropFirst(2)
        // Thunks (h…_, v…_, c…), guards and local entities (Z) stand around the name, const and reference marks (K, R …) in it.
        if rest.hasPrefix("Th") || rest.hasPrefix("Tv") || rest.hasPrefix("Tc") {
            guard let end = rest.lastOffsetNumber() else { return .glue }
            rest = rest[end...]
        }
        while let first = rest.first, "ZNKVrRO".contains(first) { rest = rest.dropFirst() }
        if cPlusPlusNames.contains(where: { rest.hasPrefix($0) }) { return .system }
        return cPlusPlusGlue.contains { rest.hasPrefix($0) } ? .glue : .user
    }

    private static let cPlusPlusNamespaces = ["std::", "__gnu_cxx::", "__cxxabiv1::", "__gnu_debug::", "operator new", "operator delete"]

    /// For functions without a mangled name.
    static func kind(ofQualified name: String) -> Kind {
        cPlusPlusNamespaces.contains { name.hasPrefix($0) } ? .system : kind(ofC: name)
    }

    // MARK: Swift

    private static let swiftModules: Set<String> = [
        "Swift", "_Concurrency", "_StringProcessing", "_RegexParser", "RegexBuilder", "Synchronization", "Distributed", "Observation",
        "_Differentiation", "_Volatile", "Runtime", "Cxx", "CxxStdlib", "SwiftOnoneSupport", "SwiftGlibc", "Glibc", "Builtin",
        "Foundation", "FoundationEssentials", "FoundationInternationalization", "FoundationNetworking", "FoundationXML",
        "_FoundationCollections", "_FoundationCShims", "_FoundationICU", "Dispatch",
    ]

    /// Functions that every class has and that only pass an object on: the line that makes the object is their caller's.
    private static let passingFunctions = ["__allocating_init"]

    static func kind(of name: SwiftFunctionName) -> Kind {
        if swiftModules.contains(name.module) { return .system }
        if name.isThunk { return .glue }
        return passingFunctions.contains { name.entity.firstPosition(of: ".\($0)") != nil } ? .system : .user
    }

    // MARK: Rust

    private static let crates: Set<String> = [
        "alloc", "core", "std", "hashbrown", "compiler_builtins", "std_detect", "panic_unwind", "__rustc",
    ]

    static func kind(ofRust path: String) -> Kind {
        guard path.hasPrefix("<") else { return isSystemCrate(path[...]) ?? false ? .system : .user }
        // `<Type as Trait>::method` belongs to the type's crate; to the trait's when the type is a primitive or a parameter.
        let parts = path.dropFirst()
        if let answer = isSystemCrate(parts) { return answer ? .system : .user }
        guard let at = parts.firstPosition(of: " as ") else { return .system }
        return isSystemCrate(parts[at...].dropFirst(4)) ?? false ? .system : .user
    }

    /// nil when the type has no crate.
    private static func isSystemCrate(_ path: Substring) -> Bool? {
        var rest = path
        stripping: while true {
            for mark in ["&", "*const ", "*mut ", "mut ", "dyn ", "[", "(", "<", "impl "] where rest.hasPrefix(mark) {
                rest = rest.dropFirst(mark.count)
                continue stripping
            }
            break
        }
        let root = rest.prefix { $0 == "_" || $0.isLetter || $0.isNumber }
        guard rest[root.endIndex...].hasPrefix("::") else { return nil }
        return crates.contains(String(root))
    }
}

extension Substring {
    /// Where the name goes on behind the offsets of a thunk: `Thn16_`, `Tv0_n24_`, `Tch0_h16_`.
    fileprivate func lastOffsetNumber() -> Index? {
        var end: Index?
        var at = startIndex
        while at < endIndex {
            guard let mark = self[at...].firstIndex(of: "_"), self[at..<mark].allSatisfy({ "Thvcn0123456789".contains($0) }) else { break }
            end = index(after: mark)
            at = index(after: mark)
        }
        return end
    }
}
