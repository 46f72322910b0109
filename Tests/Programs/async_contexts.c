// async_contexts.c: functions that begin like async Swift functions, with good, bad and vanishing async contexts.
#include <sys/mman.h>
#include "claims.h"

struct context {
    struct context *parent;
    void (*resume)(void);
};

// with_context(context, function) calls it from a function whose async context is `context`.
void with_context(void *context, void (*function)(void));
#if defined(__x86_64__)
__asm__(".text\n.p2align 4\n.type with_context, @function\nwith_context:\n.cfi_startproc\n"
        "push %r14\n.cfi_adjust_cfa_offset 8\n.cfi_offset %r14, -16\n"
        "mov %rdi, %r14\nmov %rsi, %rdi\ncall async_function\n"
        "pop %r14\n.cfi_adjust_cfa_offset -8\nret\n.cfi_endproc\n.size with_context, .-with_context\n"
        ".p2align 4\n.type async_function, @function\nasync_function:\n.cfi_startproc\n"
        "push %rbp\n.cfi_def_cfa_offset 16\n.cfi_offset %rbp, -16\n"
        "push %r14\nlea 8(%rsp), %rbp\n.cfi_def_cfa %rbp, 16\n"
        "sub $8, %rsp\ncall *%rdi\nadd $16, %rsp\npop %rbp\n.cfi_def_cfa %rsp, 8\nret\n"
        ".cfi_endproc\n.size async_function, .-async_function\n");
#endif

SEPARATE void resume_one(void) { TOUCH(NULL); }
SEPARATE void resume_two(void) { TOUCH(NULL); }

SEPARATE static void in_good(void) {
    TOUCH(malloc(3901)); CLAIM_TOTAL(3901 * 3, 3); CLAIM_STACK("in_good;async_function;resume_one;resume_two");
}
SEPARATE static void in_bad(void) { TOUCH(malloc(3902)); }
SEPARATE static void in_loop(void) {
    TOUCH(malloc(3903)); CLAIM_TOTAL(3903 * 2, 2); CLAIM_STACK("in_loop;async_function;resume_one;resume_two");
}
SEPARATE static void in_vanishing(void) { TOUCH(malloc(3904)); }
SEPARATE static void in_changing(void) { TOUCH(malloc(3905)); }

static _Alignas(16) struct context good[2] = {{&good[1], resume_one}, {NULL, resume_two}};
static _Alignas(16) struct context loop[2] = {{&loop[1], resume_one}, {&loop[0], resume_two}};
static _Alignas(16) struct context to_data[1] = {{NULL, (void (*)(void))good}};
static _Alignas(16) struct context to_nowhere[1] = {{NULL, (void (*)(void))16}};

SEPARATE static void vanish(void) {
    struct context *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(page != MAP_FAILED);
    *page = (struct context){NULL, resume_one};
    // The same place on the stack with the same context, which is gone the second time.
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) with_context(page, in_vanishing);
        if (round == 0) REQUIRE(munmap(page, 4096) == 0);
    }
}

SEPARATE static void change(void) {
    struct context context[1] __attribute__((aligned(16)));
    for (int i = 0; i < 4; i++) {
        context[0] = (struct context){NULL, i % 2 ? resume_one : resume_two};
        with_context(context, in_changing);
    }
}

int main(void) {
    void *unreadable = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(unreadable != MAP_FAILED);
    void *bad[] = {NULL,        (void *)8,          (void *)16,         (char *)good + 8, unreadable,
                   (void *)-16, (void *)(1L << 60), (void *)(1L << 46), to_data,          to_nowhere};
    enum { BAD = sizeof bad / sizeof *bad };
    for (int i = 0; i < 3; i++) with_context(good, in_good);
    for (int i = 0; i < 2 * BAD; i++) with_context(bad[i % BAD], in_bad);
    for (int i = 0; i < 2; i++) with_context(loop, in_loop);
    vanish();
    change();
    say("bad %d\n", 2 * BAD);
    return 0;
}
