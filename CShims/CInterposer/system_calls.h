// system_calls.h: the few system calls of the traced side, made directly: libc's wrappers set errno, are cancellation
// points, and may be replaced by other preloaded libraries. Results are the kernel's: -errno on failure.
#ifndef TM_SYSTEM_CALLS_H
#define TM_SYSTEM_CALLS_H

#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#if defined(__x86_64__)
static inline long tm_system_call(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static inline long tm_system_call(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
#endif

#define TM_CALL(name, a, b, c, d, e, f) \
    tm_system_call(SYS_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static inline long tm_open(const char *path, int flags, int mode) { return TM_CALL(openat, -100, path, flags, mode, 0, 0); }
static inline long tm_close(int file) { return TM_CALL(close, file, 0, 0, 0, 0, 0); }
static inline long tm_read(int file, void *buffer, size_t size) { return TM_CALL(read, file, buffer, size, 0, 0, 0); }
static inline long tm_write(int file, const void *bytes, size_t size) { return TM_CALL(write, file, bytes, size, 0, 0, 0); }
static inline int tm_pid(void) { return (int)TM_CALL(getpid, 0, 0, 0, 0, 0, 0); }
static inline int tm_thread_id(void) { return (int)TM_CALL(gettid, 0, 0, 0, 0, 0, 0); }

static inline void *tm_map(size_t size, int protection, int flags, int file) {
    long result = TM_CALL(mmap, 0, size, protection, flags, file, 0);
    return result < 0 && result > -4096 ? NULL : (void *)result;
}

static inline long tm_futex_wait(uint32_t *word, uint32_t expected, long milliseconds) {
    struct timespec limit = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    return TM_CALL(futex, word, FUTEX_WAIT, expected, &limit, 0, 0);
}

static inline void tm_futex_wake(uint32_t *word, int threads) { TM_CALL(futex, word, FUTEX_WAKE, threads, 0, 0, 0); }

static inline uint64_t tm_nanoseconds(int clock) {
    struct timespec now = {0, 0};
    TM_CALL(clock_gettime, clock, &now, 0, 0, 0, 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
