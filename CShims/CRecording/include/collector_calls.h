// collector_calls.h: what the collector needs from the kernel and the CPU and Swift cannot say: system calls without a
// wrapper, variadic ones, and a prefetch. Results are the system call's; failures are -errno. Only Swift sees this file.
#ifndef COLLECTOR_CALLS_H
#define COLLECTOR_CALLS_H

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define TM_FUTEX_OWNER_DIED 0x40000000u
#define TM_WAIT_ANY_MAX 128

static inline long tm_result(long result) { return result == -1 ? -(long)errno : result; }

static inline void tm_prefetch_to_read(const void *address) { __builtin_prefetch(address, 0, 3); }
static inline void tm_prefetch(const void *address) { __builtin_prefetch(address, 1, 3); }

// Bit i is set when word i of the 16 is `tag`.
#if defined(__x86_64__)
static inline uint32_t tm_match_tags(const uint16_t *tags, uint16_t tag) {
    typedef short tm_words __attribute__((vector_size(16), aligned(16)));
    typedef char tm_bytes __attribute__((vector_size(16), aligned(16)));
    const short word = (short)tag;
    const tm_words all = {word, word, word, word, word, word, word, word};
    const tm_words *words = (const tm_words *)tags;
    return (uint32_t)__builtin_ia32_pmovmskb128((tm_bytes)__builtin_ia32_packsswb128(words[0] == all, words[1] == all));
}
#else
static inline uint32_t tm_match_tags(const uint16_t *tags, uint16_t tag) {
    uint32_t bits = 0;
    for (int i = 0; i < 16; i++) bits |= (uint32_t)(tags[i] == tag) << i;
    return bits;
}
#endif

// The present, in the order of the events: reads of rings that follow in the program also follow in time.
#if defined(__x86_64__)
static inline uint64_t tm_clock_now(void) {
    __builtin_ia32_lfence();
    uint64_t ticks = __builtin_ia32_rdtsc();
    __builtin_ia32_lfence();
    return ticks;
}
#else
static inline uint64_t tm_clock_now(void) { return tm_clock_after(); }
#endif

static inline long tm_futex_wake(uint32_t *word, int count) { return tm_result(syscall(SYS_futex, word, FUTEX_WAKE, count, 0, 0, 0)); }

static inline long tm_futex_wait(uint32_t *word, uint32_t expected, uint64_t nanoseconds) {
    struct timespec limit = {(time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u)};
    return tm_result(syscall(SYS_futex, word, FUTEX_WAIT, expected, &limit, 0, 0));
}

// Sleeps until one of the words is woken or differs from what is expected of it. -ENOSYS before Linux 5.16.
static inline long tm_futex_wait_any(uint32_t *const *words, const uint32_t *expected, int count, uint64_t nanoseconds) {
    struct {
        uint64_t value, address;
        uint32_t flags, reserved;
    } waiters[TM_WAIT_ANY_MAX];
    if (count > TM_WAIT_ANY_MAX) count = TM_WAIT_ANY_MAX;
    for (int i = 0; i < count; i++) {
        waiters[i].value = expected[i];
        waiters[i].address = (uint64_t)(uintptr_t)words[i];
        waiters[i].flags = 2;  // 32 bits wide, shared between processes
        waiters[i].reserved = 0;
    }
    struct timespec limit;
    clock_gettime(CLOCK_MONOTONIC, &limit);
    uint64_t end = (uint64_t)limit.tv_nsec + nanoseconds;
    limit.tv_sec += (time_t)(end / 1000000000u);
    limit.tv_nsec = (long)(end % 1000000000u);
    return tm_result(syscall(449, waiters, count, 0, &limit, CLOCK_MONOTONIC));
}

// Puts memory behind a range of a sparse file.
static inline long tm_reserve(int file, uint64_t offset, uint64_t count) {
    const int keep_size = 1;
    return tm_result(syscall(SYS_fallocate, file, keep_size, offset, count));
}
// Takes it away again; the range reads zero.
static inline long tm_release(int file, uint64_t offset, uint64_t count) {
    const int keep_size_punch_hole = 3;
    return tm_result(syscall(SYS_fallocate, file, keep_size_punch_hole, offset, count));
}
static inline long tm_membarrier_global(void) { return tm_result(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0)); }
static inline long tm_pidfd_open(int pid) { return tm_result(syscall(SYS_pidfd_open, pid, 0)); }
static inline long tm_thread_id(void) { return syscall(SYS_gettid); }
static inline _Bool tm_thread_is_gone(uint32_t pid, uint32_t tid) {
    return tm_result(syscall(SYS_tgkill, (int)pid, (int)tid, 0)) == -ESRCH;
}

// Grown pages read zero. MAP_FAILED becomes a null pointer.
static inline void *tm_pages(void *old, size_t old_size, size_t size) {
    const long may_move = 1;
    void *pages = old ? (void *)syscall(SYS_mremap, old, old_size, size, may_move, 0)
                      : mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? 0 : pages;
}

// Robust futexes by hand: the C library's follow pointers that lie in the shared memory, which a traced program may have overwritten.
// An entry is the word of the collector_mutex behind which the kernel finds the next entry.
struct tm_robust_head {
    void *next;
    long futex_offset;
    void *pending;
};
#define TM_ROBUST_ENTRY 4  // index of the entry in collector_mutex
#define TM_ROBUST_OFFSET (-32L)
static inline long tm_robust_get(void **head) {
    size_t size = 0;
    return tm_result(syscall(SYS_get_robust_list, 0, head, &size));
}
static inline long tm_robust_set(void *head) { return tm_result(syscall(SYS_set_robust_list, head, sizeof(struct tm_robust_head))); }

static inline _Bool tm_is_memory_file_system(const char *path) {
    struct statfs info;
    return statfs(path, &info) == 0 && (info.f_type == 0x01021994 || info.f_type == (__typeof__(info.f_type))0x858458f6);
}

// The page of an idle process by its number; NULL when there is none. It stays while it is mapped.
static inline struct tm_rendezvous *tm_rendezvous_attach(int id) {
    void *page = shmat(id, 0, 0);
    return page == (void *)-1 ? 0 : (struct tm_rendezvous *)page;
}
static inline void tm_rendezvous_detach(struct tm_rendezvous *page) { shmdt(page); }

static inline int tm_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }
static inline int tm_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
// Edge-triggered: each change is told once, whether or not it was dealt with. `token` comes back from tm_epoll_wait.
static inline int tm_epoll_add(int epoll, int descriptor, uint32_t token) {
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u32 = token}};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}
static inline long tm_epoll_wait(int epoll) {
    struct epoll_event event;
    int count = epoll_wait(epoll, &event, 1, -1);
    return count == 1 ? (long)event.data.u32 : -(long)errno;
}

#endif
