// hooks.c: the replaced functions. Each is: enter, the real call, one word to the recorder, leave.
//
// A release is recorded before the real call and an allocation after it: between the two the allocator may hand the
// address to another thread, whose event must lie in between. A realloc is a release and a result; one that fails gives
// the old block back.
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

#include "exit_check.h"
#include "frame_record.h"
#include "own_frees.h"
#include "real_allocator.h"
#include "recorder.h"
#include "startup_arena.h"

#define TM_HOOK __attribute__((visibility("default")))
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

// Hot functions are in parts: an entry, which costs a program that is not traced two predictable branches and a call that a sample
// passes over a few more instructions, and what it turns into by a jump when the call is recorded: the quick way (recorder.h) nearly
// always, or the other one. Only these save registers. The jump leaves the caller's stack as it was, so TM_FRAME_RECORD is that of the
// program's call.
#define TM_BECOMES __attribute__((musttail)) return
#define TM_RECORDED static __attribute__((noinline))
static inline uint64_t epoch_now(void) { return __atomic_load_n(&tm_page.process.epoch, __ATOMIC_ACQUIRE); }
// The real functions are known when it is.
static inline bool is_off(uint64_t epoch) { return __builtin_expect(epoch == TM_OFF, 1); }

// What a moment of the tracer's own allocates is cleared: parts that it leaves unused would hold what the program left there, and
// a search for leaks takes addresses in them for references. Larger blocks are fresh from the kernel.
#define LARGEST_CLEARED ((size_t)32 << 20)
static void *clear_own(void *block) {
    if (!block || !tm_thread.ignored) return block;
    size_t size = tm_real.malloc_usable_size(block);
    return size <= LARGEST_CLEARED ? memset(block, 0, size) : block;
}

// Memory for a call that is not recorded: the tracer's own comes from the arena at start-up.
static void *pass_allocate(size_t size, size_t alignment, bool cleared) {
    if (UNLIKELY(tm_thread.internal || !tm_real_is_known)) {
        void *block = tm_arena_allocate(size, alignment);  // the arena's memory is zero
        if (block) return block;
        if (!tm_real_is_known) return NULL;
    }
    if (alignment) return clear_own(tm_real.memalign(alignment, size));
    return cleared || tm_thread.ignored ? tm_real.calloc(1, size) : tm_real.malloc(size);
}

// The same for a free. In a moment of the tracer's own the block may be the program's.
static __attribute__((noinline)) void pass_free(struct tm_thread *thread, void *block) {
    if (thread->ignored && !thread->internal) tm_own_free(thread, block);
    else tm_real.free(block);
}

static void *pass_reallocate(void *block, size_t size) {
    if (!block) return pass_allocate(size, 0, false);
    bool in_arena = tm_arena_owns(block);
    if (!in_arena && !tm_thread.internal && !tm_thread.ignored) return tm_real.realloc(block, size);
    if (size == 0) {
        if (!in_arena) pass_free(&tm_thread, block);
        return NULL;
    }
    size_t before = in_arena ? tm_arena_size(block) : tm_real.malloc_usable_size(block);
    void *moved = pass_allocate(size, 0, false);
    if (!moved) return NULL;
    memcpy(moved, block, before < size ? before : size);
    if (!in_arena) pass_free(&tm_thread, block);
    return moved;
}

TM_RECORDED void *quick_malloc(size_t size) {
    struct tm_thread *thread = tm_this_thread();
    tm_enter_quickly(thread);
    void *block = tm_real.malloc(size);
    if (block) tm_allocated_quickly(thread, TM_EVENT_ALLOCATE, block, size, TM_FRAME_RECORD);
    tm_leave_quickly(thread);
    return block;
}

TM_RECORDED void *other_malloc(size_t size) {
    uint64_t epoch;
    struct tm_thread *thread = tm_this_thread();
    if (UNLIKELY(!tm_enter(thread, &epoch))) return pass_allocate(size, 0, false);
    void *block = tm_real.malloc(size);
    if (block) tm_allocated(thread, TM_EVENT_ALLOCATE, block, size, TM_FRAME_RECORD);
    tm_leave(thread, epoch);
    return block;
}

TM_HOOK void *malloc(size_t size) {
    struct tm_thread *thread = tm_this_thread();
    uint64_t epoch = epoch_now();
    if (tm_is_quick(thread, epoch, size)) TM_BECOMES quick_malloc(size);
    if (is_off(epoch) || tm_is_passed_over(thread, size, epoch)) TM_BECOMES tm_real.malloc(size);
    TM_BECOMES other_malloc(size);
}

TM_RECORDED void *quick_calloc(size_t count, size_t size) {
    struct tm_thread *thread = tm_this_thread();
    tm_enter_quickly(thread);
    void *block = tm_real.calloc(count, size);
    if (block) tm_allocated_quickly(thread, TM_EVENT_ALLOCATE, block, count * size, TM_FRAME_RECORD);
    tm_leave_quickly(thread);
    return block;
}

TM_RECORDED void *other_calloc(size_t count, size_t size) {
    uint64_t epoch;
    struct tm_thread *thread = tm_this_thread();
    if (UNLIKELY(!tm_enter(thread, &epoch))) {
        size_t product;
        if (__builtin_mul_overflow(count, size, &product)) {
            errno = ENOMEM;
            return NULL;
        }
        return pass_allocate(product, 0, true);
    }
    void *block = tm_real.calloc(count, size);
    if (block) tm_allocated(thread, TM_EVENT_ALLOCATE, block, count * size, TM_FRAME_RECORD);
    tm_leave(thread, epoch);
    return block;
}

TM_HOOK void *calloc(size_t count, size_t size) {
    struct tm_thread *thread = tm_this_thread();
    uint64_t epoch = epoch_now();
    size_t whole;
    bool is_possible = !__builtin_mul_overflow(count, size, &whole);
    if (is_possible && tm_is_quick(thread, epoch, whole)) TM_BECOMES quick_calloc(count, size);
    if (is_off(epoch) || (is_possible && tm_is_passed_over(thread, whole, epoch))) TM_BECOMES tm_real.calloc(count, size);
    TM_BECOMES other_calloc(count, size);
}

// Nothing is left to do after the real call, so it need not come back.
TM_RECORDED void quick_free(void *block) {
    struct tm_thread *thread = tm_this_thread();
    tm_enter_quickly(thread);
    tm_freeing_quickly(thread, TM_EVENT_FREE, block);
    tm_leave_quickly(thread);
    TM_BECOMES tm_real.free(block);
}

TM_RECORDED void other_free(void *block) {
    uint64_t epoch;
    struct tm_thread *thread = tm_this_thread();
    if (UNLIKELY(!tm_enter(thread, &epoch))) {
        pass_free(thread, block);
        return;
    }
    tm_freeing(thread, TM_EVENT_FREE, block);
    tm_real.free(block);
    tm_leave(thread, epoch);
}

TM_HOOK void free(void *block) {
    struct tm_thread *thread = tm_this_thread();
    uint64_t epoch = epoch_now();
    if (UNLIKELY(!block || tm_arena_owns(block))) return;
    if (tm_is_quick(thread, epoch, 0)) TM_BECOMES quick_free(block);
    if (is_off(epoch) || !tm_sampled_blocks_may_have(block)) TM_BECOMES tm_real.free(block);
    TM_BECOMES other_free(block);
}

TM_HOOK void cfree(void *block) { free(block); }

// The size is a promise to the allocator that glibc 2.36 cannot use; an allocator that wants it gets it.
TM_HOOK void free_sized(void *block, size_t size) {
    uint64_t epoch;
    struct tm_thread *thread = tm_this_thread();
    if (!tm_real.free_sized || !block || tm_arena_owns(block) || !tm_enter(thread, &epoch)) {
        free(block);
        return;
    }
    tm_freeing(thread, TM_EVENT_FREE, block);
    tm_real.free_sized(block, size);
    tm_leave(thread, epoch);
}

TM_HOOK void free_aligned_sized(void *block, size_t alignment, size_t size) {
    uint64_t epoch;
    struct tm_thread *thread = tm_this_thread();
    if (!tm_real.free_aligned_sized || !block || tm_arena_owns(block) || !tm_enter(thread, &epoch)) {
        free(block);
        return;
    }
    tm_freeing(thread, TM_EVENT_FREE, block);
    tm_real.free_aligned_sized(block, alignment, size);
    tm_leave(thread, epoch);
}

// What both reallocs record about a block that was there before, and whose release was recorded, or not because it was not
// sampled. `result` NULL with size 0: the block was freed.
static inline __attribute__((always_inline)) void reallocated(
    struct tm_thread *thread, bool was_released, void *old, void *result, size_t size, const struct tm_frame_record *hook) {
    if (result && tm_allocated(thread, was_released ? TM_EVENT_REALLOC_RESULT : TM_EVENT_ALLOCATE, result, size, hook)) return;
    if (!was_released) return;
    if (result || size == 0 || !tm_is_sampled_again(old)) tm_put_event(thread, TM_EVENT_REALLOC_RESULT, 0, 0, 0);
    else tm_put_event(thread, TM_EVENT_REALLOC_FAILED, (uintptr_t)old, 0, 0);
}

// In a hook's own frame, which is `hook`.
static inline __attribute__((always_inline)) void *reallocate(void *block, size_t size, const struct tm_frame_record *hook) {
    uint64_t epoch;
    struct tm_thread *thread = tm_this_thread();
    if (UNLIKELY(tm_arena_owns(block) || !tm_enter(thread, &epoch))) return pass_reallocate(block, size);
    void *result;
    if (!block) {
        result = tm_real.realloc(NULL, size);
        if (result) tm_allocated(thread, TM_EVENT_ALLOCATE, result, size, hook);
    } else {
        bool was_released = tm_freeing(thread, TM_EVENT_REALLOC_RELEASE, block);
        result = tm_real.realloc(block, size);
        reallocated(thread, was_released, block, result, size, hook);
    }
    tm_leave(thread, epoch);
    return result;
}

// Whether neither the block that was there nor the one that is to be is sampled.
static inline bool is_reallocation_passed_over(void *block, size_t size, uint64_t epoch) {
    return UNLIKELY(tm_thread.until_sample) && !tm_sampled_blocks_may_have(block) && tm_is_passed_over(&tm_thread, size, epoch);
}

TM_RECORDED void *quick_realloc(void *block, size_t size) {
    struct tm_thread *thread = tm_this_thread();
    tm_enter_quickly(thread);
    tm_freeing_quickly(thread, TM_EVENT_REALLOC_RELEASE, block);
    void *result = tm_real.realloc(block, size);
    if (result) tm_allocated_quickly(thread, TM_EVENT_REALLOC_RESULT, result, size, TM_FRAME_RECORD);
    else tm_put_event(thread, TM_EVENT_REALLOC_FAILED, (uintptr_t)block, 0, 0);
    tm_leave_quickly(thread);
    return result;
}

TM_RECORDED void *other_realloc(void *block, size_t size) { return reallocate(block, size, TM_FRAME_RECORD); }

TM_HOOK void *realloc(void *block, size_t size) {
    struct tm_thread *thread = tm_this_thread();
    uint64_t epoch = epoch_now();
    if (!tm_arena_owns(block)) {
        if (block && size && tm_is_quick(thread, epoch, size)) TM_BECOMES quick_realloc(block, size);
        if (is_off(epoch) || is_reallocation_passed_over(block, size, epoch)) TM_BECOMES tm_real.realloc(block, size);
    }
    TM_BECOMES other_realloc(block, size);
}

TM_HOOK void *reallocarray(void *block, size_t count, size_t size) {
    size_t product;
    if (__builtin_mul_overflow(count, size, &product)) {
        errno = ENOMEM;
        return NULL;
    }
    if (!tm_arena_owns(block) && is_reallocation_passed_over(block, product, epoch_now())) return tm_real.realloc(block, product);
    return reallocate(block, product, TM_FRAME_RECORD);
}

TM_RECORDED int other_posix_memalign(void **block, size_t alignment, size_t size) {
    uint64_t epoch;
    struct tm_thread *thread = tm_this_thread();
    if (UNLIKELY(!tm_enter(thread, &epoch))) {
        if (!thread->internal && tm_real_is_known) {
            int failed = tm_real.posix_memalign(block, alignment, size);
            if (!failed) clear_own(*block);
            return failed;
        }
        void *result = pass_allocate(size, alignment, false);
        if (!result) return ENOMEM;
        *block = result;
        return 0;
    }
    int failed = tm_real.posix_memalign(block, alignment, size);
    if (!failed) tm_allocated(thread, TM_EVENT_ALLOCATE, *block, size, TM_FRAME_RECORD);
    tm_leave(thread, epoch);
    return failed;
}

TM_HOOK int posix_memalign(void **block, size_t alignment, size_t size) {
    uint64_t epoch = epoch_now();
    if (is_off(epoch) || tm_is_passed_over(&tm_thread, size, epoch)) TM_BECOMES tm_real.posix_memalign(block, alignment, size);
    TM_BECOMES other_posix_memalign(block, alignment, size);
}

#define TM_ALIGNED_HOOK(name, parameters, arguments, alignment)                                       \
    TM_HOOK void *name parameters {                                                                   \
        uint64_t epoch;                                                                               \
        struct tm_thread *thread = tm_this_thread();                                                  \
        if (UNLIKELY(!tm_enter(thread, &epoch))) {                                                    \
            if (!thread->internal && tm_real_is_known) return clear_own(tm_real.name arguments);      \
            return pass_allocate(size, alignment, false);                                             \
        }                                                                                             \
        void *block = tm_real.name arguments;                                                         \
        if (block) tm_allocated(thread, TM_EVENT_ALLOCATE, block, size, TM_FRAME_RECORD);             \
        tm_leave(thread, epoch);                                                                      \
        return block;                                                                                 \
    }

TM_ALIGNED_HOOK(aligned_alloc, (size_t alignment, size_t size), (alignment, size), alignment)
TM_ALIGNED_HOOK(memalign, (size_t alignment, size_t size), (alignment, size), alignment)
TM_ALIGNED_HOOK(valloc, (size_t size), (size), TM_PAGE)
TM_ALIGNED_HOOK(pvalloc, (size_t size), (size), TM_PAGE)

// Some programs ask for each block that they allocate or free.
static __attribute__((noinline)) size_t find_usable_size(void *block) {
    uint64_t epoch;
    if (tm_arena_owns(block)) return tm_arena_size(block);
    if (tm_enter(&tm_thread, &epoch)) tm_leave(&tm_thread, epoch);  // makes tm_real known
    return tm_real.malloc_usable_size(block);
}

TM_HOOK size_t malloc_usable_size(void *block) {
    if (UNLIKELY(tm_arena_owns(block) || !tm_real_is_known)) TM_BECOMES find_usable_size(block);
    TM_BECOMES tm_real.malloc_usable_size(block);
}

// Another library may come to lie at the same addresses: what is remembered about code there is void.
TM_HOOK int dlclose(void *handle) {
    uint64_t epoch;
    struct tm_thread *thread = tm_this_thread();
    if (tm_enter(thread, &epoch)) tm_leave(thread, epoch);  // makes tm_real known
    int failed = tm_real.dlclose(handle);
    if (tm_enter(thread, &epoch)) {
        if (tm_images_refresh()) tm_unwinder_code_unloaded();
        tm_leave(thread, epoch);
    }
    return failed;
}

// ---- The program's end. A fork child that never allocated must not begin a recording now.
static void know_real(void) {
    struct tm_thread *thread = tm_this_thread();
    if (__atomic_load_n(&tm_real_is_known, __ATOMIC_ACQUIRE)) return;
    bool internal = thread->internal;
    thread->internal = true;
    tm_real_find();
    thread->internal = internal;
}

TM_HOOK __attribute__((noreturn)) void exit(int code) {
    tm_exit_called((char *)__builtin_frame_address(0) + 2 * sizeof(void *));
    know_real();
    tm_real.exit(code);
    __builtin_unreachable();
}

TM_HOOK __attribute__((noreturn)) void _exit(int code) {
    tm_exit_called((char *)__builtin_frame_address(0) + 2 * sizeof(void *));
    tm_exit_check();
    know_real();
    tm_real._exit(code);
    __builtin_unreachable();
}

TM_HOOK __attribute__((noreturn)) void _Exit(int code) { _exit(code); }
