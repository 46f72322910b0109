// living.c: keeps the blocks of `load`, makes and frees those of `scratch`, writes to its streams, until the file "stop" appears.
// The test looks at it through the live view; one file has a hostile name.
#include <unistd.h>
#include "claims.h"

SEPARATE static void load(int index) { TOUCH(malloc(1000 + (size_t)(index % 3))); }

SEPARATE static void scratch(void) {
    void *block = malloc(300);
    TOUCH(block);
    free(block);
}

SEPARATE static void hostile(void);

int main(int count, char **arguments) {
    if (count != 2) return 2;
    say("this is %d's own output\n", (int)getpid());
    hostile();
    for (int index = 0; access(arguments[1], F_OK) != 0; index++) {
        if (index < 2000) load(index);
        scratch();
        usleep(1000);
    }
    return write(2, "and this its last word\n", 23) == 23 ? 7 : 1;
}

#line 7 "evil\033[31m<script>alert(1).c"
SEPARATE static void hostile(void) { TOUCH(malloc(5000)); }
