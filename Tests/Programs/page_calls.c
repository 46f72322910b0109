// page_calls.c: few call sites with figures that a page must show: kept, gone again at once, and one with a hostile name.
// With an argument it parses twice as much and saves nothing, as another version of the program would.
#include "claims.h"

enum { BLOCKS = 100 };
static void *kept[4 * BLOCKS];
static int count;

SEPARATE static void parse(int blocks) {
    for (int i = 0; i < blocks; i++) kept[count++] = malloc(1000);
}

SEPARATE static void load(int blocks) {
    parse(blocks);
    TOUCH(kept);
}

SEPARATE static void save(void) {
    for (int i = 0; i < 10; i++) kept[count++] = malloc(500);
}

SEPARATE static void scratch(void) {
    for (int i = 0; i < 50; i++) {
        void *block = malloc(64);
        TOUCH(block);
        free(block);
    }
}

SEPARATE static void hostile(void) __asm__("\"</script><script>alert(1)</script>\"");

SEPARATE static void hostile(void) { kept[count++] = malloc(3000); }

int main(int argc, char **argv) {
    (void)argv;
    load(argc > 1 ? 2 * BLOCKS : BLOCKS);
    if (argc == 1) save();
    hostile();
    scratch();
    TOUCH(kept);
    return 0;
}
