// carrier.c: a library that opens another one by its bare name, which only the carrier's own RUNPATH ($ORIGIN/…) finds.
#include <dlfcn.h>
#include "claims.h"

void *carrier_open(const char *name);

void *carrier_open(const char *name) {
    void *library = dlopen(name, RTLD_NOW);
    if (!library) say("%s\n", dlerror());
    return library;
}
