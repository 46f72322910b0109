// oracle.c: an independent counter of allocations, as a preload library: slow, plain, and shared with no line of the profiler.
//
// Counts by valgrind memcheck's rules for "total heap usage". Each process image gets a file PID.N in the directory where
// this library lies (a link to it will do), and counts in that file, mapped shared: nothing has to be written at the end, so
// nothing is lost however the process ends. One lock is held across the real call and its bookkeeping, so the order is the
// real one. No variable in the environment says what to do, because programs copy and count their environment.
// It loads libunwind as the profiler does: a library with thread-local data makes every later thread's vector of such data
// larger, so figures are comparable only when both counters have loaded the same ones.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// The file. Oracle.swift reads it.
struct counts {
    uint64_t pid, allocations, frees, bytes, freed_bytes, unknown_frees, blocks, current, peak, peak_blocks;
};

struct block {
    void *address;  // NULL: never used; GONE: freed
    size_t size;
};
#define GONE ((void *)1)

// Lives on a page that a forked child finds full of zeros: it starts a count of its own, with a lock that is free.
struct process {
    int lock;
    bool started;
    struct counts *counts;
    struct block *blocks;
    size_t capacity, used;  // capacity: a power of two; used: slots that are not NULL
};
static struct process *process;

static __thread bool inside __attribute__((tls_model("initial-exec")));

static void *(*real_malloc)(size_t), *(*real_calloc)(size_t, size_t), *(*real_realloc)(void *, size_t);
static void (*real_free)(void *);
static void *(*real_memalign)(size_t, size_t), *(*real_aligned_alloc)(size_t, size_t);
static void *(*real_valloc)(size_t), *(*real_pvalloc)(size_t);
static int (*real_posix_memalign)(void **, size_t, size_t);

static void stop(const char *why) {
    dprintf(2, "oracle: %s\n", why);
    _exit(99);
}

// ---- The table of live blocks

static struct block *slot(void *address) {
    size_t at = (size_t)(((uintptr_t)address >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 20);
    struct block *gone = NULL;
    for (;; at++) {
        struct block *found = &process->blocks[at & (process->capacity - 1)];
        if (found->address == address) return found;
        if (found->address == GONE && !gone) gone = found;
        if (!found->address) return gone ? gone : found;
    }
}

static void grow(size_t capacity) {
    struct block *old = process->blocks;
    size_t old_capacity = process->capacity;
    process->blocks = mmap(NULL, capacity * sizeof(struct block), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (process->blocks == MAP_FAILED) stop("no memory");
    process->capacity = capacity;
    process->used = 0;
    for (size_t i = 0; i < old_capacity; i++) {
        if (!old[i].address || old[i].address == GONE) continue;
        *slot(old[i].address) = old[i];
        process->used++;
    }
    if (old) munmap(old, old_capacity * sizeof(struct block));
}

static void allocated(void *address, size_t size) {
    struct counts *counts = process->counts;
    counts->allocations++;
    counts->bytes += size;
    counts->blocks++;
    counts->current += size;
    if (counts->current > counts->peak) {
        counts->peak = counts->current;
        counts->peak_blocks = counts->blocks;
    }
    if (process->used * 2 >= process->capacity) grow(process->capacity * 2);
    struct block *found = slot(address);
    if (!found->address) process->used++;
    found->address = address;
    found->size = size;
}

// Returns whether the block was known.
static bool freed(void *address) {
    struct block *found = slot(address);
    if (found->address != address) {
        process->counts->unknown_frees++;
        return false;
    }
    found->address = GONE;
    process->counts->frees++;
    process->counts->freed_bytes += found->size;
    process->counts->blocks--;
    process->counts->current -= found->size;
    return true;
}

// ---- Start, once for every process image, under the lock

static void find_real_functions(void) {
    real_calloc = dlsym(RTLD_NEXT, "calloc");
    real_malloc = dlsym(RTLD_NEXT, "malloc");
    real_realloc = dlsym(RTLD_NEXT, "realloc");
    real_free = dlsym(RTLD_NEXT, "free");
    real_memalign = dlsym(RTLD_NEXT, "memalign");
    real_aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
    real_valloc = dlsym(RTLD_NEXT, "valloc");
    real_pvalloc = dlsym(RTLD_NEXT, "pvalloc");
    real_posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    if (!real_malloc || !real_free) stop("no malloc behind this one");
}

static void start(void) {
    process->started = true;
    Dl_info self;
    if (!dladdr((void *)start, &self)) stop("cannot find out where it lies");
    const char *end = strrchr(self.dli_fname, '/');
    if (!end) stop("must be preloaded by an absolute path");
    char name[4096];
    int file = -1;
    for (int number = 0; file < 0 && number < 10000; number++) {
        snprintf(name, sizeof name, "%.*s/%d.%04d", (int)(end - self.dli_fname), self.dli_fname, (int)getpid(), number);
        file = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (file < 0 || ftruncate(file, sizeof(struct counts)) != 0) stop("cannot write where it lies");
    process->counts = mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (process->counts == MAP_FAILED) stop("cannot map the counts");
    process->counts->pid = (uint64_t)getpid();
    process->blocks = NULL;
    process->capacity = 0;
    grow(1 << 16);
#ifndef BESIDE_PROFILER  // which loads it itself, and must not see our allocations for it
    dlopen("libunwind-x86_64.so.8", RTLD_NOW | RTLD_LOCAL);
#endif
}

// Returns whether this call is to be counted; then leave() must follow.
static bool enter(void) {
    if (inside) return false;
    inside = true;
    if (!process) {  // before any second thread: the first allocation of a process is long before main
        if (!real_malloc) find_real_functions();
        struct process *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED || madvise(page, 4096, MADV_WIPEONFORK) != 0) stop("no page that is wiped on fork");
        process = page;
    }
    while (__atomic_exchange_n(&process->lock, 1, __ATOMIC_ACQUIRE)) usleep(10);
    if (!process->started) {
        int saved = errno;
        start();
        errno = saved;
    }
    return true;
}

static void leave(void) {
    __atomic_store_n(&process->lock, 0, __ATOMIC_RELEASE);
    inside = false;
}

__attribute__((constructor)) static void announce(void) {
    if (enter()) leave();
}

// ---- What dlsym itself may allocate before the real functions are known

static _Alignas(16) char early[65536];
static size_t early_used;

static void *early_block(size_t size) {
    void *block = early + early_used;
    early_used += (size + 31) & ~(size_t)15;
    if (early_used > sizeof early) stop("too many allocations before the start");
    return block;
}

static bool is_early(const void *block) { return (const char *)block >= early && (const char *)block < early + sizeof early; }

// ---- The calls

#define COUNTED(real, size, call)                               \
    do {                                                        \
        bool counting = enter();                                \
        if (!(real)) {                                          \
            if (counting) leave();                              \
            return early_block(size);                           \
        }                                                       \
        void *block = (call);                                   \
        int saved = errno;                                      \
        if (counting) {                                         \
            if (block) allocated(block, size); \
            leave();                                            \
        }                                                       \
        errno = saved;                                          \
        return block;                                           \
    } while (0)

void *malloc(size_t size) { COUNTED(real_malloc, size, real_malloc(size)); }
void *calloc(size_t count, size_t size) { COUNTED(real_calloc, count * size, real_calloc(count, size)); }
void *memalign(size_t alignment, size_t size) { COUNTED(real_memalign, size, real_memalign(alignment, size)); }
void *aligned_alloc(size_t alignment, size_t size) { COUNTED(real_aligned_alloc, size, real_aligned_alloc(alignment, size)); }
void *valloc(size_t size) { COUNTED(real_valloc, size, real_valloc(size)); }
void *pvalloc(size_t size) { COUNTED(real_pvalloc, size, real_pvalloc(size)); }

int posix_memalign(void **result, size_t alignment, size_t size) {
    bool counting = enter();
    int error = real_posix_memalign(result, alignment, size);
    if (counting) {
        if (error == 0 && *result) allocated(*result, size);
        leave();
    }
    return error;
}

void free(void *block) {
    if (!block || is_early(block)) return;
    int saved = errno;
    bool counting = enter();
    if (counting) freed(block);
    real_free(block);
    if (counting) leave();
    errno = saved;
}

void *realloc(void *block, size_t size) {
    if (!block) return malloc(size);
    if (is_early(block)) {
        void *copy = malloc(size);
        size_t rest = (size_t)(early + sizeof early - (char *)block);  // its size is not known: take what follows too
        if (copy) memcpy(copy, block, size < rest ? size : rest);
        return copy;
    }
    bool counting = enter();
    void *result = real_realloc(block, size);
    int saved = errno;
    if (counting) {
        if (result || size == 0) {
            freed(block);
            if (result) allocated(result, size);
        }
        leave();
    }
    errno = saved;
    return result;
}

void *reallocarray(void *block, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, bytes);
}
