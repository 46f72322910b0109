// preload.c: what makes the interposer libtracemalloc.so. The interposer starts by itself, from the environment.

// SwiftPM links every dynamic library with the Swift runtime; a C program must not get it loaded (30 times the start-up
// time, and its allocations in the figures). This asks the linker to drop what no symbol needs. The linker does not keep the
// section: the address sanitizer must not refer to it.
__attribute__((section(".swift1_autolink_entries"), used, retain, no_sanitize("address"))) static const char as_needed[] =
    "-Wl,--as-needed";
