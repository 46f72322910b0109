#!/usr/bin/env python3
# random_program.py: writes and builds a random program of many call trees from a seed, to compare stacks on; the same seed, the same one.
#
# A program is three to five files of C and C++, each for a compiler and with flags of its own, and one of assembly. Their functions call
# each other at random until a budget is used up, through everything that makes a stack hard to follow: alloca, arrays of variable
# length, realigned frames, tail calls, pointers to functions, arguments on the stack, setjmp and longjmp, exceptions through all of it,
# signal handlers on either stack, swapcontext, stacks changed by hand, callbacks of the C library, threads, and assembly whose unwind
# information is usual, rare, absent, or absent with a frame pointer that points nowhere.
import os
import random
import shlex
import shutil
import subprocess
import sys

HEADER = r"""
#define _GNU_SOURCE
#include <alloca.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#ifdef __cplusplus
extern "C" {
#endif
enum { FUNCTIONS = @FUNCTIONS@, ASSEMBLY = @ASSEMBLY@, FIBERS = 4, STACK = 1 << 20, HANDLER_STACK = 1 << 20 };
struct context;
struct fiber;
typedef long function(struct context *c, long depth, long x);
typedef long trampoline(function *target, struct context *c, long depth, long x);

// What a frame that is jumped or thrown to must restore.
struct state {
    int catchers;  // frames that an exception can reach
    int handlers, on_other_stack;
    jmp_buf *jump;
    struct fiber *fiber;
};
struct fiber {
    ucontext_t inside, outside;
    char *stack;
    int is_busy;
};
struct context {
    void *other_stack;  // assembly knows that this is the first field
    uint64_t random;
    long budget;
    struct state state;
    struct fiber fibers[FIBERS];
};
extern function *const functions[FUNCTIONS];
extern trampoline *const trampolines[ASSEMBLY];
extern const char is_opaque[ASSEMBLY], changes_stack[ASSEMBLY];
extern __thread struct context *me;
@DECLARATIONS@
long through_assembly(struct context *c, long depth, long x);
long resume_fiber(struct context *c, long depth, long x);
void yield_fiber(struct context *c);
long by_signal(struct context *c, long depth, long x);
long by_thread(struct context *c, long depth, long x);
long by_sorting(struct context *c, long depth, long x);
void leave(struct context *c) __attribute__((noreturn));
void throw_one(struct context *c);
long many(struct context *c, long depth, long x, long a, long b, long d, long e, long f, long g, long h);
#ifdef __cplusplus
}
#endif

static inline uint64_t rnd(struct context *c) {
    uint64_t x = c->random;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return (c->random = x) * 0x2545F4914F6CDD1D >> 33;
}
#define USE(p) __asm__ volatile("" : : "r"(p) : "memory")
#define ALLOCATE(size) do { void *p_ = malloc(size); USE(p_); free(p_); } while (0)
#define ANY(c) functions[rnd(c) % FUNCTIONS]
"""

MAIN = r"""
#include "program.h"
#include <stdio.h>
#include <unistd.h>
__thread struct context *me;
static __thread char handler_stack[HANDLER_STACK] __attribute__((aligned(64)));
static int threads_left = 12;

static void *map(size_t size) {
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) _exit(99);
    return at;
}

static void begin(struct context *c, uint64_t seed, long budget) {
    memset(c, 0, sizeof *c);
    c->random = seed | 1;
    c->budget = budget;
    c->other_stack = (char *)map(STACK) + STACK;
    me = c;
    stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof handler_stack};
    if (sigaltstack(&stack, NULL)) _exit(98);
}

long through_assembly(struct context *c, long depth, long x) {
    unsigned which = rnd(c) % ASSEMBLY;
    struct state saved = c->state;
    if (changes_stack[which]) {
        if (c->state.on_other_stack || c->state.handlers) return x;
        c->state.on_other_stack = 1;
    }
    if (is_opaque[which]) c->state.catchers = 0;
    long result = trampolines[which](ANY(c), c, depth, x);
    c->state = saved;
    return result;
}

// ---- Fibers
static void in_fiber(void) {
    struct context *c = me;
    ANY(c)(c, 12, 1);
    c->state.fiber->is_busy = 0;
    swapcontext(&c->state.fiber->inside, &c->state.fiber->outside);
}

long resume_fiber(struct context *c, long depth, long x) {
    struct fiber *fiber = &c->fibers[rnd(c) % FIBERS];
    // A fiber that was resumed from the other stack would go there itself once its callers restore what they remember.
    if (c->state.handlers || c->state.fiber || c->state.on_other_stack) return x + depth;
    struct state saved = c->state;
    c->state = (struct state){.fiber = fiber};
    if (!fiber->is_busy) {
        if (!fiber->stack) fiber->stack = (char *)map(STACK);
        getcontext(&fiber->inside);
        fiber->inside.uc_stack.ss_sp = fiber->stack;
        fiber->inside.uc_stack.ss_size = STACK;
        fiber->inside.uc_link = NULL;
        fiber->is_busy = 1;
        makecontext(&fiber->inside, in_fiber, 0);
    }
    swapcontext(&fiber->outside, &fiber->inside);
    c->state = saved;
    return x;
}

void yield_fiber(struct context *c) {
    struct state saved = c->state;
    if (!saved.fiber || saved.handlers || saved.on_other_stack) return;
    swapcontext(&saved.fiber->inside, &saved.fiber->outside);
    c->state = saved;
}

// ---- Signals
static void handle(int number) {
    struct context *c = me;
    struct state saved = c->state;
    c->state.handlers++;
    c->state.catchers = 0;
    ALLOCATE((size_t)number);
    ANY(c)(c, 8, number);
    c->state = saved;
}

long by_signal(struct context *c, long depth, long x) {
    if (c->state.handlers) return x + depth;
    raise(rnd(c) % 2 ? SIGUSR1 : SIGUSR2);
    return x;
}

// ---- Others that call back
struct thread { uint64_t seed; };
static void *in_thread(void *argument) {
    static __thread struct context context;
    begin(&context, ((struct thread *)argument)->seed, 300);
    while (context.budget > 0) ANY(&context)(&context, 20, 1);
    return NULL;
}

long by_thread(struct context *c, long depth, long x) {
    struct thread thread = {rnd(c) + 77};
    pthread_t id;
    if (__atomic_fetch_sub(&threads_left, 1, __ATOMIC_RELAXED) <= 0) return x + depth;
    if (pthread_create(&id, NULL, in_thread, &thread)) _exit(97);
    pthread_join(id, NULL);
    return x;
}

static int compare(const void *a, const void *b) {
    struct context *c = me;
    long depth = *(const long *)a % 8;
    ANY(c)(c, depth, 1);
    return *(const long *)a < *(const long *)b ? -1 : 1;
}

long by_sorting(struct context *c, long depth, long x) {
    long numbers[5];
    for (int i = 0; i < 5; i++) numbers[i] = (long)(rnd(c) % (unsigned long)(depth > 0 ? depth + 1 : 1));
    qsort(numbers, 5, sizeof *numbers, compare);
    return x + numbers[0];
}

void leave(struct context *c) {
    ALLOCATE(40);
    _longjmp(*c->state.jump, 1);
}

int main(void) {
    static struct context context;
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_NODEFER};
    sigaction(SIGUSR1, &action, NULL);
    action.sa_flags = SA_NODEFER | SA_ONSTACK;
    sigaction(SIGUSR2, &action, NULL);
    begin(&context, @SEED@u, @BUDGET@);
    while (context.budget > 0) ANY(&context)(&context, 5 + (long)(rnd(&context) % @DEPTH@), 1);
    char text[64];
    int length = snprintf(text, sizeof text, "done %llu\n", (unsigned long long)context.random);
    return write(1, text, (size_t)length) != length;
}
"""

THROWING = r"""
#include "program.h"
extern "C" void throw_one(struct context *c) {
    if (c->state.catchers > 0) { c->budget -= 3; throw 1; }
}
extern "C" __attribute__((noinline)) long many(
    struct context *c, long depth, long x, long a, long b, long d, long e, long f, long g, long h) {
    ALLOCATE((size_t)(a + h));
    return ANY(c)(c, depth, x) + a + b + d + e + f + g + h;
}
"""

# A statement of a function in C. D is what is left of the depth; @F@ a function of the program.
STATEMENTS = [
    "ALLOCATE(1 + rnd(c) % 200);",
    "ALLOCATE(1 + rnd(c) % 200);",
    "{ char *q = (char *)calloc(1, 30); USE(q); q = (char *)realloc(q, 300); USE(q); free(q); }",
    "x += @F@(c, D, x);",
    "x += @F@(c, D, x);",
    "x += ANY(c)(c, D, x);",
    "x += through_assembly(c, D, x);",
    "x += through_assembly(c, D, x);",
    "{ char *q = (char *)alloca(1 + rnd(c) % 3000); q[0] = (char)x; USE(q); x += @F@(c, D, x); USE(q); }",
    "{ size_t n = 1 + rnd(c) % 900; char q[n]; q[n - 1] = (char)x; USE(q); x += ANY(c)(c, D, x) + q[n - 1]; }",
    "{ char q[@SIZE@] __attribute__((aligned(@ALIGN@))); q[3] = (char)x; USE(q); x += @F@(c, D, x) + q[3]; }",
    "{ size_t n = 1 + rnd(c) % 900; char q[n]; long r[9] __attribute__((aligned(64))); r[0] = x; USE(q); USE(r); x += @F@(c, D, r[0]); }",
    "for (unsigned i = 0; i < 1 + rnd(c) % 3; i++) { ALLOCATE(9 + i); x += @F@(c, D / 2, x); }",
    "{ long a = x + 1, b = x * 3, d = x ^ 5, e = x - 9, f = x | 1, g = x & 7; x += @F@(c, D, x);"
    " ALLOCATE(50); x += a + b * d + e + f * g; }",
    "x += many(c, D, x, 1, 2, 3, 4, 5, 6, x & 15);",
    "{ jmp_buf here; struct state saved = c->state; volatile long v = x; if (!_setjmp(here)) { c->state.jump = &here;"
    " v += @F@(c, D, v); c->state = saved; } else { c->state = saved; ALLOCATE(60); } x = v; }",
    "if (c->state.jump && rnd(c) % 4 == 0) leave(c);",
    "if (rnd(c) % 4 == 0) throw_one(c);",
    "if (rnd(c) % 4 == 0) x += by_signal(c, D, x);",
    "x += resume_fiber(c, D, x);",
    "yield_fiber(c); ALLOCATE(70);",
    "if (rnd(c) % 8 == 0) x += by_thread(c, D, x);",
    "if (rnd(c) % 4 == 0) x += by_sorting(c, D, x);",
    "{ struct { long a[12]; } s = {{x, 1, 2}}; x += wide_@FILE@(c, D, x, s.a[0]); }",
    "if (D > 1) x += deeper_@FILE@(c, D, rnd(c) % 40);",
]
CXX_STATEMENTS = [
    "{ struct state saved = c->state; c->state.catchers++; try { x += @F@(c, D, x); c->state = saved; }"
    " catch (int) { c->state = saved; c->state.jump = nullptr; ALLOCATE(80); x += ANY(c)(c, D / 2, x); c->state = saved; } }",
    "{ struct state saved = c->state; c->state.catchers++; try { throw_one(c); x += ANY(c)(c, D, x); }"
    " catch (...) { ALLOCATE(90); c->state = saved; if (saved.catchers > 0) throw; } c->state = saved; }",
    "{ Cleaner cleaner(c); x += @F@(c, D, x); throw_one(c); }",
    "{ std::string s(20 + rnd(c) % 50, 'a'); USE(s.data()); std::vector<long> v(3); v.push_back(x); USE(v.data()); }",
    "{ std::function<long(long)> f = [c, x](long d) { ALLOCATE(33); return @F@(c, d, x); }; x += f(D); }",
    "{ Base *object = rnd(c) % 2 ? (Base *)new One : new Two; x += object->call(c, D, x); delete object; }",
]
# In each file: functions of its own that are not called from elsewhere.
OWN = r"""
static __attribute__((noinline)) long wide_@FILE@(struct context *c, long depth, long x, long y) {
    struct { long a[@WIDE@]; } s;
    for (int i = 0; i < @WIDE@; i++) s.a[i] = y + i;
    USE(&s);
    ALLOCATE(25);
    x += @F@(c, depth, x);
    return x + s.a[@WIDE@ - 1];
}
static __attribute__((noinline)) long deeper_@FILE@(struct context *c, long depth, long more) {
    if (c->budget <= 0) return more;
    if (more > 0) { long x = deeper_@FILE@(c, depth, more - 1); if (more % 8 == 0) ALLOCATE((size_t)(more + x % 2)); return x + 1; }
    return @F@(c, depth, 1);
}
"""
CXX_OWN = r"""
#include <functional>
#include <string>
#include <vector>
namespace {
struct Cleaner {
    struct context *c;
    explicit Cleaner(struct context *c) : c(c) {}
    ~Cleaner() { struct state saved = c->state; c->state.catchers = 0; c->state.jump = nullptr;  ALLOCATE(44); c->state = saved; }
};
struct Base {
    virtual long call(struct context *c, long depth, long x) = 0;
    virtual ~Base() {}
};
struct One : Base { long a[3]; long call(struct context *c, long depth, long x) override { ALLOCATE(55); return @F@(c, depth, x); } };
struct Two : Base { long call(struct context *c, long depth, long x) override { return ANY(c)(c, depth, x) + 1; } };
}
"""

CALL = "    movq %rdi, %rax\n    movq %rsi, %rdi\n    movq %rdx, %rsi\n    movq %rcx, %rdx\n    call *%rax\n"
# name: (instructions, has no unwind information that an exception can pass, changes stacks)
ASSEMBLY = {
    "framed": (
        "    pushq %rbp\n    .cfi_def_cfa_offset 16\n    .cfi_offset 6, -16\n    movq %rsp, %rbp\n    .cfi_def_cfa_register 6\n"
        "    subq $48, %rsp\n" + CALL + "    leave\n    .cfi_def_cfa 7, 8\n    ret\n", 0, 0),
    "adjusted": (
        "    subq $40, %rsp\n    .cfi_adjust_cfa_offset 40\n    pushq $7\n    .cfi_adjust_cfa_offset 8\n    pushq $8\n"
        "    .cfi_adjust_cfa_offset 8\n" + CALL + "    addq $56, %rsp\n    .cfi_adjust_cfa_offset -56\n    ret\n", 0, 0),
    "saving": (
        "    pushq %rbx\n    .cfi_adjust_cfa_offset 8\n    .cfi_offset 3, -16\n    pushq %rbp\n    .cfi_adjust_cfa_offset 8\n"
        "    .cfi_offset 6, -24\n    pushq %r12\n    .cfi_adjust_cfa_offset 8\n    .cfi_offset 12, -32\n    movq $5, %rbx\n"
        "    movq $6, %rbp\n" + CALL + "    popq %r12\n    .cfi_adjust_cfa_offset -8\n    popq %rbp\n    .cfi_adjust_cfa_offset -8\n"
        "    .cfi_restore 6\n    popq %rbx\n    .cfi_adjust_cfa_offset -8\n    .cfi_restore 3\n    ret\n", 0, 0),
    "based_on_rbx": (
        "    pushq %rbx\n    .cfi_adjust_cfa_offset 8\n    .cfi_offset 3, -16\n    movq %rsp, %rbx\n    .cfi_def_cfa_register 3\n"
        "    subq $64, %rsp\n    andq $-64, %rsp\n" + CALL + "    movq %rbx, %rsp\n    .cfi_def_cfa_register 7\n    popq %rbx\n"
        "    .cfi_adjust_cfa_offset -8\n    ret\n", 0, 0),
    "by_expression": (  # CFA: the word at rsp + 8, plus 8
        "    movq %rsp, %rax\n    .cfi_def_cfa_register 0\n    subq $40, %rsp\n    andq $-32, %rsp\n    movq %rax, 8(%rsp)\n"
        "    .cfi_escape 0x0f, 5, 0x77, 8, 0x06, 0x23, 8\n" + CALL + "    movq 8(%rsp), %rsp\n    .cfi_def_cfa 7, 8\n    ret\n", 0, 0),
    "rbp_in_register": (
        "    pushq %r12\n    .cfi_adjust_cfa_offset 8\n    .cfi_offset 12, -16\n    movq %rbp, %r12\n    .cfi_register 6, 12\n"
        "    movq $99, %rbp\n" + CALL + "    movq %r12, %rbp\n    .cfi_same_value 6\n    popq %r12\n"
        "    .cfi_adjust_cfa_offset -8\n    ret\n", 0, 0),
    "rbp_by_expression": (  # rbp: the word at CFA - 16, written as an expression
        "    pushq %rbp\n    .cfi_adjust_cfa_offset 8\n    .cfi_escape 0x10, 6, 2, 0x77, 0\n    movq $1, %rbp\n"
        + CALL + "    popq %rbp\n    .cfi_adjust_cfa_offset -8\n    .cfi_same_value 6\n    ret\n", 0, 0),
    "remembering": (
        "    pushq %rbp\n    .cfi_adjust_cfa_offset 8\n    .cfi_offset 6, -16\n    .cfi_remember_state\n    testq %rdx, %rdx\n    jg 1f\n"
        "    popq %rbp\n    .cfi_adjust_cfa_offset -8\n    movq %rcx, %rax\n    ret\n1:  .cfi_restore_state\n    subq $32, %rsp\n"
        "    .cfi_adjust_cfa_offset 32\n" + CALL + "    addq $32, %rsp\n    .cfi_adjust_cfa_offset -32\n    popq %rbp\n"
        "    .cfi_adjust_cfa_offset -8\n    ret\n", 0, 0),
    "frame_pointer_nowhere": (
        "    pushq %rbp\n    .cfi_adjust_cfa_offset 8\n    .cfi_offset 6, -16\n    movq $0x123456789, %rbp\n"
        + CALL + "    popq %rbp\n    .cfi_adjust_cfa_offset -8\n    .cfi_restore 6\n    ret\n", 0, 0),
    "other_stack": (
        "    pushq %rbp\n    .cfi_adjust_cfa_offset 8\n    .cfi_offset 6, -16\n    movq %rsp, %rbp\n    .cfi_def_cfa_register 6\n"
        "    movq (%rsi), %rsp\n" + CALL + "    movq %rbp, %rsp\n    popq %rbp\n    .cfi_def_cfa 7, 8\n    ret\n", 0, 1),
    "bare_framed": ("    pushq %rbp\n    movq %rsp, %rbp\n    subq $32, %rsp\n" + CALL + "    leave\n    ret\n", 1, 0),
    "bare": ("    subq $24, %rsp\n" + CALL + "    addq $24, %rsp\n    ret\n", 1, 0),
    "bare_nowhere": ("    pushq %rbp\n    movq $0x7fff12345678, %rbp\n" + CALL + "    popq %rbp\n    ret\n", 1, 0),
    "bare_outermost": ("    pushq %rbp\n    xorl %ebp, %ebp\n" + CALL + "    popq %rbp\n    ret\n", 1, 0),
}

RARE = ["based_on_rbx", "by_expression", "rbp_in_register", "rbp_by_expression", "other_stack"]
RARE_STATEMENTS = ["by_signal", "by_thread"]

FLAGS = {
    "any": ["-fomit-frame-pointer", "-fno-omit-frame-pointer", "-fstack-protector-all", "-fcf-protection", "-mno-red-zone", "-fno-plt",
            "-fno-optimize-sibling-calls", "-mstackrealign", "-fno-inline", "-ffunction-sections", "-mavx", "-funroll-loops"],
    "gcc": ["-momit-leaf-frame-pointer", "-maccumulate-outgoing-args", "-mno-accumulate-outgoing-args", "-fno-dwarf2-cfi-asm",
            "-freorder-blocks-and-partition", "-fno-shrink-wrap", "-fipa-pta", "-fstack-clash-protection", "-mpush-args"],
    "clang": ["-momit-leaf-frame-pointer", "-fstack-clash-protection", "-fsplit-machine-functions"],
}


def function_text(rng, number, count, name, is_cxx, is_opaque, is_plain):
    def filled(text):
        while "@F@" in text:
            text = text.replace("@F@", f"f{rng.randrange(count)}", 1)
        text = text.replace("@SIZE@", str(rng.choice([16, 100, 2000]))).replace("@ALIGN@", str(rng.choice([32, 64, 256])))
        return text.replace("@FILE@", name)

    statements = STATEMENTS + (CXX_STATEMENTS * 2 if is_cxx else [])
    if is_plain:
        statements = [one for one in statements if not any(name in one for name in RARE_STATEMENTS)]
    body = [filled(rng.choice(statements)) for _ in range(rng.randint(1, 5))]
    linkage = 'extern "C" ' if is_cxx else ""
    text = f"{linkage}long f{number}(struct context *c, long depth, long x) {{\n"
    text += "    if (c->budget-- <= 0 || depth <= 0) return x;\n    long D = depth - 1;\n"
    if is_opaque:  # no exception may try to pass
        text += "    struct state entered = c->state; c->state.catchers = 0;\n"
    text += "".join(f"    {line}\n" for line in body)
    if is_opaque:
        text += "    c->state = entered;\n    return x + D;\n"
    elif rng.random() < 0.4:
        text += filled(f"    return {rng.choice(['@F@', 'ANY(c)'])}(c, D, x);\n")
    else:
        text += "    return x ^ D;\n"
    return text + "}\n"


def assembly_text(names):
    text = "    .text\n"
    for name in names:
        body, is_opaque, _ = ASSEMBLY[name]
        # "bare": nothing at all is said about the function.
        bounds = ("", "") if is_opaque else ("    .cfi_startproc\n", "    .cfi_endproc\n")
        text += f"    .p2align 4\n    .globl {name}\n    .type {name}, @function\n{name}:\n"
        text += f"{bounds[0]}{body}{bounds[1]}    .size {name}, .-{name}\n"
    return text + '    .section .note.GNU-stack,"",@progbits\n'


def write(seed, folder, budget=1500):
    """Writes the program's files; returns the commands that build it there, the last of which links `program`."""
    rng = random.Random(seed)
    count = rng.randint(12, 40)
    # Stacks with rare rules are walked by libunwind itself: half of the programs have none, so that there is more to compare.
    is_plain = rng.random() < 0.5
    names = [name for name in sorted(ASSEMBLY) if not (is_plain and name in RARE)]
    use_clang = shutil.which("clang") is not None
    fill = {
        "@FUNCTIONS@": str(count), "@ASSEMBLY@": str(len(names)), "@SEED@": str(seed % 2**32 + 1), "@BUDGET@": str(budget),
        "@DEPTH@": str(rng.choice([10, 30, 60, 150])),
        "@DECLARATIONS@": "".join(f"function f{i};\n" for i in range(count)) + "".join(f"trampoline {name};\n" for name in names),
    }

    def put(name, text):
        for key, value in fill.items():
            text = text.replace(key, value)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    put("program.h", HEADER)
    tables = [
        "function *const functions[FUNCTIONS] = {" + ", ".join(f"f{i}" for i in range(count)) + "};",
        "trampoline *const trampolines[ASSEMBLY] = {" + ", ".join(names) + "};",
        "const char is_opaque[ASSEMBLY] = {" + ", ".join(str(ASSEMBLY[name][1]) for name in names) + "};",
        "const char changes_stack[ASSEMBLY] = {" + ", ".join(str(ASSEMBLY[name][2]) for name in names) + "};"]
    put("main.c", MAIN + "\n".join(tables) + "\n")
    put("throwing.cpp", THROWING)
    put("assembly.S", assembly_text(names))

    position = rng.choice([["-fPIE"], ["-fPIE"], ["-fno-pie"]])
    common = ["-g", "-w", "-fno-builtin", "-pthread", "-U_FORTIFY_SOURCE"]
    commands = [
        ["gcc", *common, *position, "-std=gnu17", "-fexceptions", "-O1", "-c", "main.c"],
        ["g++", *common, *position, "-std=c++17", "-O1", "-c", "throwing.cpp"],
        ["gcc", "-c", "assembly.S"]]
    objects, shared = ["main.o", "throwing.o", "assembly.o"], []
    files = rng.randint(3, 5)
    for number in range(files):
        is_cxx = rng.random() < 0.5
        is_clang = use_clang and rng.random() < 0.5
        is_opaque = not is_cxx and rng.random() < 0.15
        is_shared = not is_opaque and rng.random() < 0.3
        name = f"part{number}"
        own = (CXX_OWN if is_cxx else "") + OWN
        while "@F@" in own:
            own = own.replace("@F@", f"f{rng.randrange(count)}", 1)
        own = own.replace("@FILE@", name).replace("@WIDE@", str(rng.choice([4, 40, 700])))
        text = '#include "program.h"\n' + own
        text += "".join(function_text(rng, i, count, name, is_cxx, is_opaque, is_plain) for i in range(number, count, files))
        source = name + (".cpp" if is_cxx else ".c")
        put(source, text)
        compiler = {(False, False): "gcc", (False, True): "clang", (True, False): "g++", (True, True): "clang++"}[is_cxx, is_clang]
        choices = FLAGS["any"] + FLAGS["clang" if is_clang else "gcc"]
        flags = [rng.choice(["-O0", "-O1", "-O2", "-O3", "-Os"]), *rng.sample(choices, rng.randint(0, 4))]
        if is_opaque:
            flags += ["-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-fno-exceptions"]
        elif not is_cxx:
            flags += ["-fexceptions"]
        flags += ["-std=c++17" if is_cxx else "-std=gnu17"]
        if is_shared:
            commands.append([compiler, *common, *flags, "-fPIC", "-shared", source, "-o", f"lib{name}.so"])
            shared.append(f"lib{name}.so")
        else:
            commands.append([compiler, *common, *flags, *position, "-c", source])
            objects.append(name + ".o")
    link = ["g++", "-no-pie" if position == ["-fno-pie"] else "-pie", "-rdynamic", "-pthread", *objects, *shared, "-Wl,-rpath,$ORIGIN",
            rng.choice(["-Wl,-z,lazy", "-Wl,-z,now"]), "-o", "program"]
    if rng.random() < 0.2:
        link.append("-Wl,--no-ld-generated-unwind-info")  # the PLT has no unwind information then
    commands.append(link)
    return commands


def build(seed, folder, budget=1500):
    """Builds the program of a seed; returns its path."""
    for command in write(seed, folder, budget):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{shlex.join(command)}:\n{done.stderr[:4000]}")
    return os.path.join(folder, "program")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: tools/random_program.py SEED FOLDER    writes and builds the program of a seed in a folder")
    os.makedirs(sys.argv[2], exist_ok=True)
    print(build(int(sys.argv[1]), sys.argv[2]))
