// plugins.c: loads the plug-ins that the arguments name, one after another: dlopen, call, dlclose. They come to lie at the same
// address; each allocation belongs to the plug-in that was loaded then. The i-th plug-in (from 0) allocates 2400 + i bytes.
#include <dlfcn.h>
#include "claims.h"

int main(int count, char **arguments) {
    void *addresses[16] = {0};
    for (int round = 0; round < 3; round++) {
        for (int i = 1; i < count; i++) {
            void *library = dlopen(arguments[i], RTLD_NOW | RTLD_LOCAL);
            if (!library) say("%s\n", dlerror());
            REQUIRE(library);
            void *(*allocate)(size_t) = (void *(*)(size_t))dlsym(library, "plugin_allocate");
            REQUIRE(allocate);
            TOUCH(allocate(2400 + (size_t)i - 1));
            if (round == 2) addresses[i] = (void *)allocate;
            REQUIRE(dlclose(library) == 0);
        }
    }
    int same = 0;
    for (int i = 2; i < count; i++) same += addresses[i] == addresses[i - 1];
    say("at the same address: %d\n", same);
    return 0;
}
