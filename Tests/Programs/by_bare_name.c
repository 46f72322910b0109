// by_bare_name.c: asks the carrier library for a plug-in by its bare name. Found as without the profiler; a dlopen that is wrapped
// makes the loader look at the wrapper's RUNPATH instead.
#include <dlfcn.h>
#include "claims.h"

void *carrier_open(const char *name);

int main(int count, char **arguments) {
    REQUIRE(count == 2);
    void *library = carrier_open(arguments[1]);
    REQUIRE(library);
    void *(*allocate)(size_t) = (void *(*)(size_t))dlsym(library, "plugin_allocate");
    TOUCH(allocate(2601));
    TOUCH(malloc(2602)); CLAIM_ALIVE(2602, 1);
    return 0;
}
