// stack_bounds.c: extents of stacks, without a system call where glibc or the kernel's layout tells.
#define _GNU_SOURCE
#include "stack_bounds.h"

#include "cpu.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE ((uintptr_t)4096)

// The kernel keeps at least this much below the top of the main stack free of mappings, however small its limit.
#define MAIN_STACK_REACH ((uintptr_t)128 << 20)

// Words of glibc's thread control block that are looked at for the stack's extent; the block is longer in every version.
#define CONTROL_BLOCK_WORDS (0x800 / sizeof(uintptr_t))
#define CONTROL_BLOCK_MAX ((uintptr_t)64 << 10)  // the block, thread-local variables of glibc's choosing, alignment
#define THREAD_STACK_MIN ((uintptr_t)16 << 10)
#define THREAD_STACK_MAX ((uintptr_t)1 << 40)

static struct tm_stack_range main_stack;

void tm_stack_bounds_initialize(void) {
    if (main_stack.high != 0) return;
    void *const *end = dlsym(RTLD_DEFAULT, "__libc_stack_end");
    if (end) main_stack = (struct tm_stack_range){(uintptr_t)*end - MAIN_STACK_REACH, (uintptr_t)*end};
}

// glibc's control block has, one after the other, the lowest address, the size and the guard size of the thread's
// stack. Their offset differs between versions; three words that fit around the thread pointer are not there by chance.
void tm_stack_bounds_thread_start(struct tm_stack_bounds *bounds) {
    *bounds = (struct tm_stack_bounds){0};
    uintptr_t top = tm_cpu_thread_pointer();
    const uintptr_t *word = (const uintptr_t *)top;
    for (size_t i = 2; i + 2 < CONTROL_BLOCK_WORDS; i++) {
        uintptr_t low = word[i], size = word[i + 1], guard = word[i + 2];
        if (low == 0 || low >= top || size < THREAD_STACK_MIN || size > THREAD_STACK_MAX || guard >= size) continue;
        if (low + size <= top || low + size - top > CONTROL_BLOCK_MAX || guard % PAGE != 0) continue;
        bounds->own = (struct tm_stack_range){low + guard, top};
        return;
    }
}

static int contains(struct tm_stack_range range, uintptr_t address) { return address - range.low < range.high - range.low; }

struct tm_stack_range tm_stack_known(const struct tm_stack_bounds *bounds, uintptr_t sp) {
    if (contains(bounds->own, sp)) return bounds->own;
    if (contains(main_stack, sp)) return main_stack;
    return (struct tm_stack_range){0, 0};
}

#define PAGES_AT_ONCE 16u

// How many of the pages from `page` on can be read: the kernel copies one byte of each and stops at the first that faults.
static size_t readable_pages(uintptr_t page, size_t count) {
    char bytes[PAGES_AT_ONCE];
    struct iovec local = {bytes, count}, remote[PAGES_AT_ONCE];
    for (size_t i = 0; i < count; i++) remote[i] = (struct iovec){(void *)(page + i * PAGE), 1};
    int saved = errno;
    long copied = syscall(SYS_process_vm_readv, (long)syscall(SYS_getpid), &local, 1L, remote, (long)count, 0L);
    errno = saved;
    return copied < 0 ? 0 : (size_t)copied;
}

static int try_pages(uintptr_t low, uintptr_t high) {
    while (low < high) {
        size_t count = (high - low) / PAGE;
        if (count > PAGES_AT_ONCE) count = PAGES_AT_ONCE;
        if (readable_pages(low, count) != count) return 0;
        low += count * PAGE;
    }
    return 1;
}

int tm_stack_try(struct tm_stack_bounds *bounds, uintptr_t address, uintptr_t size) {
    uintptr_t low = address & -PAGE, high = (address + size + PAGE - 1) & -PAGE;
    if (address == 0 || high <= low) return 0;
    struct tm_stack_range *neighbor = NULL;
    for (unsigned i = 0; i < TM_TRIED_STACKS; i++) {
        struct tm_stack_range *tried = &bounds->tried[i];
        if (low >= tried->low && high <= tried->high) return 1;
        if (low <= tried->high && high >= tried->low) neighbor = tried;
    }
    if (!try_pages(low, high)) return 0;
    if (neighbor) {
        if (low < neighbor->low) neighbor->low = low;
        if (high > neighbor->high) neighbor->high = high;
    } else {
        bounds->tried[bounds->next_tried++ % TM_TRIED_STACKS] = (struct tm_stack_range){low, high};
    }
    return 1;
}
