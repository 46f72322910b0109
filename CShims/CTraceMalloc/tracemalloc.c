// tracemalloc.c: the C interface. What it says is in tracemalloc.h, what it does in Swift.
#include "tracemalloc.h"

#include "api.h"
#include "interposer.h"

static _Thread_local char message[TM_MESSAGE_CAPACITY];

const char *tracemalloc_message(void) { return message; }

int tracemalloc_start(int frames) { return tm_api_start(frames, message, sizeof message); }
void tracemalloc_stop(void) { tm_api_stop(); }
bool tracemalloc_is_tracing(void) { return tm_tracing() != TM_TRACING_OFF; }

void tracemalloc_traced_memory(size_t *current, size_t *peak) {
    size_t now = 0, most = 0;
    tm_api_traced_memory(&now, &most);
    if (current) *current = now;
    if (peak) *peak = most;
}

size_t tracemalloc_overhead(void) { return tm_api_overhead(); }
void tracemalloc_clear(void) { tm_api_clear(); }
void tracemalloc_reset_peak(void) { tm_reset_peak(); }
void tracemalloc_mark(const char *name) { tm_mark(name); }

// The stack without this function.
__attribute__((noinline)) int tracemalloc_track(unsigned domain, const void *address, size_t size) {
    uint32_t stack = tm_stack_here(1);
    return tm_api_track(domain, address, size, stack, message, sizeof message);
}

int tracemalloc_untrack(unsigned domain, const void *address) { return tm_api_untrack(domain, address, message, sizeof message); }
int tracemalloc_write_snapshot(const char *path) { return tm_api_write_snapshot(path, message, sizeof message); }
