// deep_bind.c: a plug-in opened with RTLD_DEEPBIND finds the C library's malloc before the profiler's: its blocks are not seen, but
// the program frees them through the profiler. No crash, and the frees are counted as unknown.
#define _GNU_SOURCE
#include <dlfcn.h>
#include "claims.h"

int main(int count, char **arguments) {
    REQUIRE(count == 2);
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_DEEPBIND);
    REQUIRE(library);
    void *(*allocate)(size_t) = (void *(*)(size_t))dlsym(library, "plugin_allocate");
    REQUIRE(allocate);
    for (int i = 0; i < 10; i++) {
        free(allocate(2501));
        TOUCH(realloc(allocate(2502), 2503));
    }
    TOUCH(malloc(2504)); CLAIM_ALIVE(2504, 1);
    return 0;
}
