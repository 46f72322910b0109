// stepped.c: single-steps calls through a linkage stub and the loader's resolver behind it, and allocates in the handler of every
// step: stacks begin at each instruction, also of stubs, prologues and epilogues, where no frame is complete.
#define _GNU_SOURCE
#include <signal.h>
#include <ucontext.h>
#include "claims.h"

static volatile int steps, finished;
static int line_in_handler;

#if defined(__x86_64__)
// The trap flag, by way of the flags register; the handler runs without it.
#define START_STEPPING() __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" : : : "cc", "memory")
static void stop_stepping(ucontext_t *context) { context->uc_mcontext.gregs[REG_EFL] &= ~0x100; }
#else
#error "say how this processor single-steps"
#endif

static void handler(int signal, siginfo_t *information, void *context) {
    (void)signal, (void)information;
    void *block = malloc(2051); line_in_handler = __LINE__;
    TOUCH(block);
    steps++;
    if (finished) stop_stepping(context);
}

// The first call goes through the resolver, the second one straight through the stub.
SEPARATE static int step_through(const char *text) {
    finished = 0;
    START_STEPPING();
    int number = atoi(text);
    finished = 1;
    return number;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    REQUIRE(sigaction(SIGTRAP, &action, NULL) == 0);
    REQUIRE(step_through("17") + step_through("4") == 21);
    REQUIRE(steps > 100);
    CLAIM_AT("total", line_in_handler, 2051ul * (unsigned)steps, steps);
    return 0;
}
