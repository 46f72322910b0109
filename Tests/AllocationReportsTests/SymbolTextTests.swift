// SymbolTextTests.swift: names of functions made short for a terminal.
import Testing

@testable import AllocationReports

@Suite struct SymbolTextTests {
    @Test(arguments: [
        ("llvm::allocate_buffer(unsigned long, unsigned long) (clang-21)", "llvm::allocate_buffer (clang-21)"),
        ("std::map<int, std::vector<int> >::find(int const&) const", "std::map<…>::find"),
        ("(anonymous namespace)::Pass::run(Module&)", "(anonymous namespace)::Pass::run"),
        ("A::RunSafely(llvm::function_ref<void ()>)", "A::RunSafely"), ("f(int) (a b.so)", "f (a b.so)"),
        ("Any::operator()(int) const (libx.so)", "Any::operator() (libx.so)"),
        ("operator<<(std::ostream&, int)", "operator<<"), ("std::vector<T>::operator[](unsigned long)", "std::vector<…>::operator[]"),
        ("llvm::User::operator new(unsigned long)", "llvm::User::operator new"), ("malloc", "malloc"), ("a > b < c", "a > b < c"),
        ("/src/main.c:12", "/src/main.c:12"), ("", ""),
    ])
    func `arguments go, what names stays`(name: String, short: String) {
        #expect(PrintableText.shortened(name) == short)
    }

    @Test func `a name that fits is left alone, others fit afterwards`() {
        let name = "llvm::allocate_buffer(unsigned long, unsigned long) (clang-21)"
        #expect(PrintableText.symbol(name, columns: 80) == name)
        #expect(PrintableText.symbol(name, columns: 40) == "llvm::allocate_buffer (clang-21)")
        #expect(PrintableText.symbol("clang::driver::Driver::Execute(int) (clang-21)", columns: 30) == "Driver::Execute (clang-21)")
        #expect(PrintableText.symbol("clang::driver::Driver::Execute", columns: 16) == "Driver::Execute")
        for columns in 1...62 { #expect(PrintableText.columns(of: PrintableText.symbol(name, columns: columns)) <= columns) }
    }

    @Test func `words wrap where there is a terminal`() {
        #expect(PrintableText.wrapped("one two three", TextStyle(columns: 34), indentation: 10) == "one two three")
        #expect(
            PrintableText.wrapped("aaaaaaaaaaaa bbbbbbbbbbbb cccc", TextStyle(columns: 34), indentation: 10)
                == "aaaaaaaaaaaa\n          bbbbbbbbbbbb cccc")
        #expect(PrintableText.wrapped("one two", .plain, indentation: 10) == "one two")
    }
}
