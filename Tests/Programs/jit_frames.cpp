// jit_frames.cpp: an exception passes through code made at run time, whose unwind information was given to __register_frame,
// as a JIT compiler does. It must still be caught; an unwinder that takes exceptions over does not know the frame.
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include "claims.h"

extern "C" void __register_frame(void *);
extern "C" void __deregister_frame(void *);

#if defined(__x86_64__)
// push %rbp; mov %rsp,%rbp; call *%rdi; pop %rbp; ret
static const uint8_t code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
// One CIE and one FDE: CFA = rsp+8, return address at CFA-8; after the push CFA = rsp+16, rbp at CFA-16; then CFA = rbp+16.
static const uint8_t cie[] = {1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x00, 0x0c, 7, 8, 0x90, 1, 0, 0};
static const uint8_t program[] = {0, 0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0, 0, 0, 0, 0, 0};
#else
#error "write the code and its unwind information for this processor"
#endif

SEPARATE static void thrower() {
    void *block = malloc(1801); CLAIM_TOTAL(1801, 1); CLAIM_ALIVE(0, 0);
    TOUCH(block);
    free(block);
    throw 42;
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t size) {
    memcpy(at, bytes, size);
    return at + size;
}

int main() {
    uint8_t *page = (uint8_t *)mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return 95;  // a system that forbids writable code
    memcpy(page, code, sizeof code);

    alignas(8) static uint8_t frame[256];
    uint32_t zero = 0, cie_length = 4 + sizeof cie, fde_length = 4 + 8 + 8 + sizeof program;
    uint8_t *at = put(put(frame, &cie_length, 4), &zero, 4);
    at = put(at, cie, sizeof cie);
    uint8_t *fde = at;
    at = put(at, &fde_length, 4);
    uint32_t back = (uint32_t)(at - frame);
    uint64_t start = (uint64_t)page, size = sizeof code;
    at = put(put(put(at, &back, 4), &start, 8), &size, 8);
    at = put(at, program, sizeof program);
    put(at, &zero, 4);
    TOUCH(fde);

    __register_frame(frame);
    int caught = 0;
    for (int i = 0; i < 1; i++) {
        try {
            ((void (*)(void (*)()))page)(thrower);
        } catch (int value) {
            caught = value;
        }
    }
    __deregister_frame(frame);
    REQUIRE(caught == 42);
    say("caught %d\n", caught);
    return 0;
}
