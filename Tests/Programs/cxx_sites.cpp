// cxx_sites.cpp: C++ allocations are charged to the program's own lines: not to operator new, nor to what the library inlined.
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>
#include "claims.h"

struct alignas(64) Wide {
    char bytes[3200];
};

SEPARATE static int *plain() { return new int[805]; }

int main() {
    int *array = plain();
    TOUCH(array);
    char *text = new char[3203]; CLAIM_TOTAL(3203, 1); CLAIM_ALIVE(0, 0); CLAIM_STACK("main");
    TOUCH(text);
    auto wide = new Wide; CLAIM_ALIVE(3200, 1);
    TOUCH(wide);
    auto none = new (std::nothrow) char[3204]; CLAIM_ALIVE(3204, 1);
    TOUCH(none);
    std::vector<char> bytes(3205); CLAIM_TOTAL(3205, 1); CLAIM_ALIVE(0, 0);
    TOUCH(bytes.data());
    std::string string(3206, 'x'); CLAIM_TOTAL(3207, 1); CLAIM_ALIVE(0, 0);
    TOUCH(string.data());
    auto unique = std::make_unique<char[]>(3208); CLAIM_TOTAL(3208, 1); CLAIM_ALIVE(0, 0);
    TOUCH(unique.get());
    std::map<int, std::string> map;
    for (int i = 0; i < 30; i++) map[i] = "a string that is too long for the object itself, by far";
    TOUCH(&map);
    delete[] text;
    text = new char[3209]; CLAIM_ALIVE(3209, 1);
    TOUCH(text);
    return 0;
}
