// CallSiteRuleTests.swift: real symbols, what they are called and whom a cost is charged to.
import Testing

@testable import AllocationSymbols

@Suite struct CallSiteRuleTests {
    struct Symbol: Sendable, CustomTestStringConvertible {
        var mangled: String
        var shown: String
        var kind: CallSiteRule.Kind
        init(_ mangled: String, _ shown: String, _ kind: CallSiteRule.Kind) {
            (self.mangled, self.shown, self.kind) = (mangled, shown, kind)
        }
        var testDescription: String { mangled }
    }

    static let symbols: [Symbol] = [
        // C
        Symbol("malloc", "malloc", .system), Symbol("__libc_calloc", "__libc_calloc", .system), Symbol("main", "main", .user),
        Symbol("memcpy@@GLIBC_2.14", "memcpy", .user), Symbol("malloc@plt", "malloc@plt", .system),
        Symbol("parse.constprop.0.cold", "parse", .user), Symbol("g_malloc", "g_malloc", .system),
        Symbol("PyMem_Malloc", "PyMem_Malloc", .system),
        Symbol("sqlite3_malloc64", "sqlite3_malloc64", .system), Symbol("swift_slowAlloc", "swift_slowAlloc", .glue),
        // C++
        Symbol("_Znwm", "operator new(unsigned long)", .system), Symbol("_ZdaPv", "operator delete[](void*)", .system),
        Symbol(
            "_ZNSt6vectorIiSaIiEE17_M_realloc_insertIJiEEEvN9__gnu_cxx17__normal_iteratorIPiS1_EEDpOT_",
            "void std::vector<int, "
                + "std::allocator<int> >::_M_realloc_insert<int>("
                + "__gnu_cxx::__normal_iterator<int*, std::vector<int, std::allocator<int> > >, int&&)",
            .system),
        Symbol(
            "_ZN9__gnu_cxx13new_allocatorIiE8allocateEmPKv",
            "__gnu_cxx::new_allocator<int>::allocate(unsigned long, void const*)", .system),
        Symbol("_ZNKSt4hashISsEclESs", "std::hash<std::string>::operator()(std::string) const", .system),
        Symbol("_ZSt4moveIRiEONSt16remove_referenceIT_E4typeEOS2_", "std::remove_reference<int&>::type&& std::move<int&>(int&)", .system),
        // Returns a std type, but is the user's.
        Symbol("_ZN4shop4makeIiEESt6vectorIT_SaIS2_EES2_", "std::vector<int, std::allocator<int> > shop::make<int>(int)", .user),
        Symbol("_ZN4shop6Basket3addEv", "shop::Basket::add()", .user),
        Symbol("_ZZN4shop3runEvENKUlvE_clEv", "shop::run()::{lambda()#1}::operator()() const", .user),
        Symbol("_ZThn16_N4shop6BasketD0Ev", "non-virtual thunk to shop::Basket::~Basket()", .user),
        Symbol("_ZN4shop6Basket3addEv.part.0", "shop::Basket::add()", .user),
        Symbol("_ZN5swift15swift_slowAllocEmm", "swift::swift_slowAlloc(unsigned long, unsigned long)", .glue),
        // Swift
        Symbol("$sSa6appendyyxnF", "Array.append(__owned A)", .system),
        Symbol("$sSa6appendyyxnFSi_Tg5", "Array.append(__owned A)", .system),
        Symbol("$s10Foundation4DataV5countACSi_tcfC", "Foundation.Data.init(count: Int) -> Foundation.Data", .system),
        Symbol("$sSa3AppE4mineSayxGyF", "(extension in App):Array.mine() -> [A]", .user),
        Symbol("$s3App5StoreC4load5countSaySiGSi_tF", "App.Store.load(count: Int) -> [Int]", .user),
        Symbol("$s3App5StoreC4load5countSaySiGSi_tFSiSgSiXEfU_", "closure #1 (Int) -> Int? in App.Store.load(count: Int) -> [Int]", .user),
        Symbol("$s3App5StoreCACycfC", "App.Store.__allocating_init() -> App.Store", .system),
        Symbol("$s3App5StoreCMa", "type metadata accessor for App.Store", .glue),
        Symbol("$s3App5StoreC3runyyYaFTQ0_", "App.Store.run() async", .user),
        Symbol(
            "$ss8SequencePsE6reduceyqd__qd___qd__qd___7ElementQztKXEtKlF",
            "Sequence.reduce<A>(A1, (A1, A.Element) throws -> A1) throws -> A1", .system),
        Symbol("$s3App5Shelf33_90AB32459A5BCC4685EE39DDCD4BCC5BLLV3addSSSgyF", "App.Shelf.add() -> String?", .user),
        Symbol("$s3App5StoreC5itemsSayypGvg", "App.Store.items.getter : [Any]", .user),
        // Rust: the older scheme and the current one
        Symbol("_ZN5alloc7raw_vec19RawVec$LT$T$C$A$GT$8grow_one17h0123456789abcdefE", "alloc::raw_vec::RawVec<T,A>::grow_one", .system),
        Symbol("_ZN3app5store4load17h0123456789abcdefE", "app::store::load", .user),
        Symbol("_ZN45_$LT$app..Foo$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE", "<app::Foo as core::fmt::Debug>::fmt", .user),
        Symbol(
            "_ZN46_$LT$T$u20$as$u20$alloc..slice..ConvertVec$GT$6to_vec17h0123456789abcdefE", "<T as alloc::slice::ConvertVec>::to_vec",
            .system),
        Symbol("_RNvCs15kBYyAo9fc_7mycrate7example", "mycrate::example", .user),
        Symbol("_RNvMs_Cs4Cv8Wi1oAIB_7mycrateNtB4_7Example3foo", "<mycrate::Example>::foo", .user),
        Symbol("_RINvNtC3std3mem8align_ofdE", "std::mem::align_of::<f64>", .system),
        Symbol("_RNCNvNtCsjrHSEGnQ3l9_3std5alloc8rust_oom0B5_", "std::alloc::rust_oom::{closure#0}", .system),
        Symbol("_RNvXCs15kBYyAo9fc_7mycrateNtB2_3FooNtNtC4core3fmt5Debug3fmt", "<mycrate::Foo as core::fmt::Debug>::fmt", .user),
        Symbol(
            "_RINvC3app4callRSeAhj4_TmbEFUKCtExKpE", "app::call::<&[str], [u8; 4], (u32, bool), unsafe extern \"C\" fn(u16) -> i64, _>",
            .user),
    ]

    @Test("symbols get the names that people write, and the call-site rule knows whose they are", arguments: symbols)
    func namesAndJudges(symbol: Symbol) {
        let name = Demangler.demangle(symbol.mangled)
        #expect(name.text == symbol.shown)
        #expect(name.rule == symbol.kind, "\(name)")
    }

    @Test("modules of allocators, runtimes and standard libraries are system, wrappers and other libraries are not")
    func modules() {
        for path in [
            "/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/libstdc++.so.6.0.30", "/usr/lib/swift/linux/libswiftCore.so",
            "libFoundationEssentials.so",
            "/usr/lib/swift/linux/lib_FoundationICU.so", "/lib64/ld-linux-x86-64.so.2", "libdispatch.so", "/opt/libtracemalloc.so",
            "[vdso]",
            "libswift_Concurrency.so", "/lib/libm.so.6", "/lib/libgcc_s.so.1", "libTraceMallocPreload.so",
        ] {
            #expect(CallSiteRule.isSystemModule(path: path), "\(path)")
        }
        for path in [
            "/usr/bin/jq", "libpython3.11.so.1.0", "libglib-2.0.so.0", "libcurl.so.4", "/home/me/libheap.so", "libsqlite3.so.0", "", "/",
        ] {
            #expect(!CallSiteRule.isSystemModule(path: path), "\(path)")
        }
    }

    @Test("headers of the standard libraries are system wherever they are instantiated")
    func files() {
        for file in [
            "/usr/include/c++/12/bits/stl_vector.h", "/usr/lib/gcc/x86_64-linux-gnu/12/../../../../include/c++/12/vector",
            "/<compiler-generated>",
            "/rustc/59807616e1/library/alloc/src/raw_vec.rs", "/x/lib/rustlib/src/rust/library/core/src/iter.rs",
        ] {
            #expect(CallSiteRule.isSystemFile(file), "\(file)")
        }
        for file in ["/home/me/app/main.swift", "/usr/include/boost/vector.hpp", "", "/src/library/alloc.c"] {
            #expect(!CallSiteRule.isSystemFile(file), "\(file)")
        }
    }

    @Test("compiler-made glue is charged only when it has a line")
    func glue() {
        #expect(CallSiteRule.isSystem(kind: .glue, isSystemFile: false, hasLine: false, isSystemModule: false))
        #expect(!CallSiteRule.isSystem(kind: .glue, isSystemFile: false, hasLine: true, isSystemModule: false))
        #expect(!CallSiteRule.isSystem(kind: .user, isSystemFile: false, hasLine: false, isSystemModule: false))
    }

    @Test("hostile names come back shortened, never crash and never take long")
    func hostileNames() {
        var random = SeededGenerator(state: 3)
        let clock = ContinuousClock()
        let time = clock.measure {
            for start in ["$s", "_Z", "_ZN", "_R", "_RNv", "_RI", ""] {
                for repeated in [
                    "N", "B_", "1a", "TT", "X", "R", "I", "S", "Si", "3App", "KpE", "99999999999999999999", "A", "f", "(", "<",
                ] {
                    let name = Demangler.demangle(start + String(repeating: repeated, count: 5_000))
                    #expect(name.text.utf8.count <= 4_100)
                }
            }
            // Damaged real names.
            for symbol in Self.symbols {
                for _ in 0..<40 {
                    var bytes = Array(symbol.mangled.utf8)
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 33..<127, using: &random)
                    _ = Demangler.demangle(String(decoding: bytes, as: UTF8.self))
                }
            }
        }
        #expect(time < .seconds(10), "seed 3")
    }
}
