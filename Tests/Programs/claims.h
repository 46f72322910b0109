// claims.h: how a test program says what it allocated. Saying it allocates nothing.
//
// CLAIM stands on the line of the call that it is about: the expected line is never typed in.
//   CLAIM_TOTAL(bytes, count)    allocated at this line in all
//   CLAIM_ALIVE(bytes, count)    of these, alive at the end of the program
//   CLAIM_STACK("f;main")        the functions around this line, innermost first
#ifndef CLAIMS_H
#define CLAIMS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((format(printf, 1, 2), unused)) static void say(const char *format, ...) {
    char line[4096];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    // One write a line: threads and children share the output.
    if (length < 0 || write(1, line, (size_t)length) != length) _exit(98);
}

#define CLAIM_AT(kind, line, bytes, count) say("claim " kind " %s:%d %zu %zu\n", __FILE__, line, (size_t)(bytes), (size_t)(count))
#define CLAIM_TOTAL(bytes, count) CLAIM_AT("total", __LINE__, bytes, count)
#define CLAIM_ALIVE(bytes, count) CLAIM_AT("alive", __LINE__, bytes, count)
#define CLAIM_STACK(functions) say("claim stack %s:%d %s\n", __FILE__, __LINE__, functions)
#define CLAIM_MODULE(name) say("claim module %s:%d %s\n", __FILE__, __LINE__, name)

// Ends the program with a sentence when something that does not depend on the profiler is not so.
#define REQUIRE(condition)                                              \
    do {                                                                \
        if (!(condition)) {                                             \
            say("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            _exit(97);                                                  \
        }                                                               \
    } while (0)

// The compiler must neither merge nor drop what happens to a block.
#define TOUCH(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")
#define SEPARATE __attribute__((noinline, noclone, noipa))

#endif
