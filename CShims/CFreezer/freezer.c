// freezer.c: stops all threads of a process, reads their registers, and lets them go.
//
// Everything here may run in a process that shares its memory, and the locks in it, with stopped threads: system calls
// only, no allocation, no stdio, nothing of libc that takes a lock.
#define _GNU_SOURCE
#include "freezer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define STOP_LIMIT UINT64_C(500000000)
// With PTRACE_SEIZE, the stop that PTRACE_INTERRUPT makes.
#define EVENT_STOP 128

uint64_t tm_freezer_now(void) {
    struct timespec now = {0, 0};
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool tm_freezer_failed(struct tm_freeze *freeze, enum tm_freeze_fault fault, int code) {
    if (!freeze->fault) {
        freeze->fault = fault;
        freeze->code = code;
    }
    return false;
}

int tm_freezer_open(const char *before, int pid, const char *after, int flags) {
    char path[64], digits[12];
    size_t length = 0, count = 0;
    while (*before) path[length++] = *before++;
    for (unsigned rest = (unsigned)pid; count == 0 || rest; rest /= 10) digits[count++] = (char)('0' + rest % 10);
    while (count) path[length++] = digits[--count];
    while (*after) path[length++] = *after++;
    path[length] = 0;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
}

static void nap(long nanoseconds) {
    struct timespec time = {0, nanoseconds};
    syscall(SYS_nanosleep, &time, NULL);
}

// ---- Threads
static struct tm_stopped *find(struct tm_scratch *scratch, int id) {
    for (size_t i = 0; i < scratch->thread_count; i++)
        if (scratch->threads[i].id == id) return &scratch->threads[i];
    return NULL;
}

// Takes what the kernel says about a thread. False: nothing yet.
static bool hear(struct tm_stopped *thread) {
    int status = 0;
    long heard = syscall(SYS_wait4, thread->id, &status, __WALL | WNOHANG, NULL);
    if (heard == 0) return false;
    if (heard < 0) {
        if (errno == EINTR) return false;
        thread->state = TM_GONE;
    } else if (WIFSTOPPED(status)) {
        thread->state = TM_STOPPED;
        // It was about to be given a signal: it gets it when it goes on.
        thread->signal = status >> 16 == 0 ? WSTOPSIG(status) : 0;
    } else {
        thread->state = TM_GONE;
    }
    return true;
}

static bool await_stops(struct tm_freeze *freeze, struct tm_scratch *scratch, size_t first, uint64_t limit) {
    long pause = 2000;
    for (;;) {
        struct tm_stopped *missing = NULL;
        for (size_t i = first; i < scratch->thread_count; i++)
            if (scratch->threads[i].state == TM_SEIZED && !hear(&scratch->threads[i])) missing = &scratch->threads[i];
        if (!missing) return true;
        if (tm_freezer_now() > limit) return tm_freezer_failed(freeze, TM_FREEZE_UNSTOPPABLE, missing->id);
        nap(pause);
        if (pause < 100000) pause += pause / 2;
    }
}

// Seizes and interrupts one thread.
static bool seize(struct tm_freeze *freeze, struct tm_scratch *scratch, int id) {
    if (syscall(SYS_ptrace, PTRACE_SEIZE, (long)id, 0L, 0L) != 0) {
        if (errno == ESRCH) return true;
        int code = errno;
        // A thread that has ended, but whose number is kept (a main thread, until all others have ended).
        char text[512];
        int file = tm_freezer_open("/proc/", id, "/stat", O_RDONLY);
        long length = file < 0 ? 0 : syscall(SYS_read, file, text, sizeof text);
        if (file >= 0) syscall(SYS_close, file);
        if (length <= 0) return true;
        for (long i = length - 3; i > 0; i--)
            if (text[i] == ')') {
                if (text[i + 2] == 'Z' || text[i + 2] == 'X') return true;
                break;
            }
        return tm_freezer_failed(freeze, TM_FREEZE_REFUSED, code);
    }
    if (scratch->thread_count == TM_MOST_THREADS) return tm_freezer_failed(freeze, TM_FREEZE_NO_MEMORY, ENOMEM);
    struct tm_stopped *thread = &scratch->threads[scratch->thread_count++];
    thread->id = id;
    thread->state = TM_SEIZED;
    thread->signal = 0;
    syscall(SYS_ptrace, PTRACE_INTERRUPT, (long)id, 0L, 0L);
    return true;
}

// One pass over /proc/PID/task; *found: a thread that was not known.
static bool seize_new(struct tm_freeze *freeze, struct tm_scratch *scratch, bool *found) {
    int folder = tm_freezer_open("/proc/", freeze->pid, "/task", O_RDONLY | O_DIRECTORY);
    if (folder < 0) return tm_freezer_failed(freeze, errno == ENOENT ? TM_FREEZE_GONE : TM_FREEZE_NO_FILES, errno);
    bool good = true;
    char buffer[4096] __attribute__((aligned(8)));
    for (long length; good && (length = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0;) {
        for (long at = 0; good && at < length;) {
            struct dirent64 *entry = (struct dirent64 *)(void *)(buffer + at);
            at += entry->d_reclen;
            int id = 0;
            for (const char *digit = entry->d_name; *digit >= '0' && *digit <= '9'; digit++) id = id * 10 + (*digit - '0');
            struct tm_stopped *known = id ? find(scratch, id) : NULL;
            if (!id || (known && known->state != TM_GONE)) continue;
            size_t before = scratch->thread_count;
            good = seize(freeze, scratch, id);
            if (scratch->thread_count != before) *found = true;
        }
    }
    syscall(SYS_close, folder);
    return good;
}

// Threads may start threads until the last of them has stopped: passes go on until one finds nothing new.
bool tm_stop_threads(struct tm_freeze *freeze, struct tm_scratch *scratch) {
    uint64_t limit = tm_freezer_now() + STOP_LIMIT;
    for (;;) {
        size_t first = scratch->thread_count;
        bool found = false;
        if (!seize_new(freeze, scratch, &found)) return false;
        if (!found) break;
        if (!await_stops(freeze, scratch, first, limit)) return false;
    }
    for (size_t i = 0; i < scratch->thread_count; i++)
        if (scratch->threads[i].state == TM_STOPPED) return true;
    return tm_freezer_failed(freeze, TM_FREEZE_GONE, ESRCH);
}

void tm_release_threads(struct tm_scratch *scratch) {
    for (size_t i = 0; i < scratch->thread_count; i++) {
        struct tm_stopped *thread = &scratch->threads[i];
        // The others are let go of when we end.
        if (thread->state == TM_STOPPED) syscall(SYS_ptrace, PTRACE_DETACH, (long)thread->id, 0L, (long)thread->signal);
    }
}

static void keep(struct tm_scratch *scratch, const uint64_t *words, size_t count) {
    for (size_t i = 0; i < count && scratch->word_count < TM_MOST_WORDS; i++)
        if (words[i]) scratch->words[scratch->word_count++] = words[i];
}

bool tm_read_registers(struct tm_scratch *scratch) {
    static const size_t word = sizeof(uint64_t);
    for (size_t i = 0; i < scratch->thread_count; i++) {
        struct tm_stopped *thread = &scratch->threads[i];
        if (thread->state != TM_STOPPED) continue;
        tm_registers registers;
        struct iovec general = {&registers, sizeof registers};
        // Killed while it was stopped.
        if (syscall(SYS_ptrace, PTRACE_GETREGSET, (long)thread->id, (long)NT_PRSTATUS, &general) != 0) {
            thread->state = TM_GONE;
            continue;
        }
        thread->stack_pointer = tm_stack_pointer(&registers);
        thread->thread_pointer = tm_thread_pointer(&registers);
        thread->first_word = scratch->word_count;
        keep(scratch, (const uint64_t *)&registers, general.iov_len / word);
        struct iovec vector = {scratch->vector, TM_VECTOR_BYTES};
        if (syscall(SYS_ptrace, PTRACE_GETREGSET, (long)thread->id, (long)TM_VECTOR_REGISTERS, &vector) == 0)
            keep(scratch, scratch->vector, vector.iov_len / word);
        thread->words = scratch->word_count - thread->first_word;
    }
    return true;
}

// ---- The whole
static void freeze_it(struct tm_freeze *freeze, struct tm_scratch *scratch) {
    uint64_t start = tm_freezer_now();
    uint64_t stopped = start;
    if (tm_stop_threads(freeze, scratch) && tm_read_registers(scratch)) {
        stopped = tm_freezer_now();
        tm_take_image(freeze, scratch);
    }
    tm_release_threads(scratch);
    if (!freeze->image) return;
    freeze->image->pause = tm_freezer_now() - start;
    freeze->image->stopping = stopped - start;
}

struct helper {
    struct tm_freeze *freeze;
    struct tm_scratch *scratch;
    uint32_t may_begin;
};

static int run_helper(void *argument) {
    struct helper *helper = argument;
    while (!__atomic_load_n(&helper->may_begin, __ATOMIC_ACQUIRE)) syscall(SYS_sched_yield);
    freeze_it(helper->freeze, helper->scratch);
    // Whoever we did not let go of is let go of by the kernel.
    syscall(SYS_exit_group, 0);
    return 0;
}

// The tracer is a process of its own: a thread cannot trace its own process, and what it traces shows among the children of
// all threads of its process, where others of them wait for children. It shares our memory, and nobody else hears of it.
static void start_helper(struct tm_freeze *freeze, struct helper *helper, char *stack) {
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    // The image is a file that we go on with.
    int files = freeze->wants_file ? CLONE_FILES : 0;
    int child = clone(run_helper, stack, CLONE_VM | CLONE_UNTRACED | files, helper);
    if (child > 0) {
        // Where only ancestors may trace (Yama), a process can name another one.
        if (freeze->shares_memory) prctl(PR_SET_PTRACER, (unsigned long)child, 0, 0, 0);
        freeze->fault = TM_FREEZE_DONE;
        __atomic_store_n(&helper->may_begin, 1, __ATOMIC_RELEASE);
        while (syscall(SYS_wait4, child, NULL, __WALL, NULL) < 0 && errno == EINTR) {}
        if (freeze->shares_memory) prctl(PR_SET_PTRACER, 0, 0, 0, 0);
        if (!freeze->image && !freeze->fault) freeze->fault = TM_FREEZE_NO_PROCESS;
    } else {
        freeze->code = errno;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
}

void tm_freeze_process(struct tm_freeze *freeze) {
    static const size_t stack_size = 256 << 10;
    int saved_errno = errno;
    freeze->fault = TM_FREEZE_NO_PROCESS;
    freeze->code = 0;
    freeze->image = NULL;
    freeze->file = -1;
    freeze->bytes = 0;
    freeze->shares_memory = freeze->pid == (int)syscall(SYS_getpid);
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *memory = mmap(NULL, sizeof(struct tm_scratch) + stack_size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED) {
        freeze->fault = TM_FREEZE_NO_MEMORY;
        freeze->bytes = sizeof(struct tm_scratch);
        return;
    }
    struct helper helper = {freeze, (struct tm_scratch *)(void *)memory, 0};
    start_helper(freeze, &helper, memory + sizeof(struct tm_scratch) + stack_size);
    munmap(memory, sizeof(struct tm_scratch) + stack_size);
    errno = saved_errno;
}

void tm_heap_image_free(struct tm_heap_image *image, size_t size) { munmap(image, size); }
