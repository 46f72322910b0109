// exit_check.c: catches every way in which a program ends itself: exit, return from main, the end of the last thread,
// quick_exit, _exit. A destructor of ours runs behind the program's exit handlers: what they free is no leak.
#define _GNU_SOURCE
#include "exit_check.h"

#include "recorder.h"
#include "system_calls.h"

static uint64_t exit_stack;

// A child made by fork finds itself untraced; one made by vfork has our memory, and another number.
static bool is_wanted(void) {
    if (__atomic_load_n(&tm_page.process.epoch, __ATOMIC_ACQUIRE) < TM_FIRST_EPOCH || tm_recording.is_private) return false;
    struct tm_header *header = tm_recording.header;
    return tm_load32(&header->exit_check) == TM_EXIT_WANTED && header->pid == (uint32_t)tm_pid();
}

void tm_exit_called(const void *stack) {
    if (is_wanted()) __atomic_store_n(&exit_stack, (uintptr_t)stack, __ATOMIC_RELAXED);
}

void tm_exit_check(void) {
    if (!is_wanted()) return;
    struct tm_header *header = tm_recording.header;
    if (!tm_swap32(&header->exit_check, TM_EXIT_WANTED, TM_EXIT_ENTERED)) return;
    header->exit_stack = __atomic_load_n(&exit_stack, __ATOMIC_RELAXED);
    header->exit_thread = (uint32_t)tm_thread_id();
    tm_store32(&header->exit_check, TM_EXIT_WAITING);
    for (struct tm_patience patience = {0}; tm_load32(&header->exit_check) == TM_EXIT_WAITING && tm_collector_lives(&patience);) {
        tm_doorbell();
        tm_wait_for_collector(&header->exit_check, TM_EXIT_WAITING, &patience);
    }
}

__attribute__((destructor)) static void ended(void) { tm_exit_check(); }

// Handlers run in the reverse order: the first one that is registered comes last.
extern int __cxa_at_quick_exit(void (*handler)(void *), void *module);
static void quitted(void *unused) {
    (void)unused;
    tm_exit_check();
}
__attribute__((constructor)) static void begun(void) { __cxa_at_quick_exit(quitted, NULL); }
