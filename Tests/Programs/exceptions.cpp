// exceptions.cpp: exceptions through many frames, rethrown and caught in a destructor's shadow. The stacks afterwards are right, and the
// program's exceptions still belong to its own unwinder, libgcc.
#include <dlfcn.h>
#include <stdexcept>
#include <string.h>
#include "claims.h"

struct Guard {
    ~Guard() {
        void *block = malloc(1701);  // while the stack is being unwound
        TOUCH(block);
        free(block);
    }
};

SEPARATE static void climb(int depth) {
    Guard guard;
    if (depth == 0) throw std::runtime_error("at the bottom");
    climb(depth - 1);
    TOUCH(&guard);
}

SEPARATE static void rethrow() {
    try {
        climb(40);
    } catch (const std::exception &) {
        TOUCH(malloc(1702)); CLAIM_STACK("rethrow;main");
        throw;
    }
}

SEPARATE static void after() {
    TOUCH(malloc(1703)); CLAIM_STACK("after;main");
}

int main() {
    for (int i = 0; i < 25; i++) {
        try {
            rethrow();
        } catch (const std::runtime_error &error) {
            REQUIRE(!strcmp(error.what(), "at the bottom"));
            after();
        }
    }
    // Unwinders that come before libgcc in the search order take the program's exceptions over.
    Dl_info owner;
    REQUIRE(dladdr(dlsym(RTLD_DEFAULT, "_Unwind_RaiseException"), &owner));
    say("exceptions belong to %s\n", strrchr(owner.dli_fname, '/') + 1);
    return 0;
}
