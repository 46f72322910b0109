// outgrowing.c: allocates and uses memory until the kernel kills it for that. How many blocks it had got by then stands in the
// file that the argument names; every one of them but the last is in the profile.
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include "claims.h"

int main(int count, char **arguments) {
    REQUIRE(count == 2);
    int file = open(arguments[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    REQUIRE(file >= 0 && ftruncate(file, 4096) == 0);
    atomic_long *blocks = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    REQUIRE(blocks != MAP_FAILED);
    for (int i = 0; i < 4096; i++) {
        char *block = malloc(262144);
        REQUIRE(block);
        atomic_fetch_add(blocks, 1);
        memset(block, 1, 262144);
        TOUCH(block);
    }
    return 9;  // nobody stopped it
}
