// cpu_x86_64.h: everything in the unwinder that knows the CPU. Another CPU is another file with the same names.
#ifndef TM_CPU_X86_64_H
#define TM_CPU_X86_64_H

#include <emmintrin.h>
#include <stddef.h>
#include <stdint.h>

// DWARF register numbers.
enum { TM_CPU_FP = 6, TM_CPU_SP = 7, TM_CPU_RETURN = 16 };

// DWARF operations that name the frame pointer: "fp + sleb128", and the load of the word there.
enum { TM_CPU_OP_FP_PLUS = 0x70 + TM_CPU_FP, TM_CPU_OP_LOAD = 0x06 };

// The caller's stack pointer after the return, from where a function has saved its frame pointer.
static inline uintptr_t tm_cpu_sp_above(const void *frame_record) { return (uintptr_t)frame_record + 16; }

// Where a call leaves its return address, from the caller's stack pointer after the return (the CFA).
enum { TM_CPU_RETURN_AT_CFA = -8 };

// A frame without unwind info is taken for "push rbp; mov rbp, rsp" when rbp points a little above the stack pointer.
enum { TM_CPU_GUESS_CFA = 16, TM_CPU_GUESS_FP = 0, TM_CPU_GUESS_REACH = 0x4000 };

// The stack pointer's page and the thread's control block.
static inline uintptr_t tm_cpu_thread_pointer(void) { return (uintptr_t)__builtin_thread_pointer(); }

enum { TM_CPU_CODE_BYTES = 16 };  // how many bytes the functions below look at

// jmp *slot(%rip); push $index; jmp first-plt-entry: no frame of its own, the return address is on top of the stack.
static inline int tm_cpu_is_plt_entry(const uint8_t *code) {
    return code[0] == 0xff && code[1] == 0x25 && code[6] == 0x68 && code[11] == 0xe9;
}

// mov $15, %rax; syscall: a signal trampoline without unwind info.
static inline int tm_cpu_is_signal_return(const uint8_t *code) {
    static const uint8_t trampoline[9] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
    for (size_t i = 0; i < sizeof trampoline; i++)
        if (code[i] != trampoline[i]) return 0;
    return 1;
}

// push rbp; push r14; lea 8(rsp), rbp: so begins each async Swift function that makes calls and keeps a frame pointer (all
// do in SwiftPM's builds), and nothing else. r14 is the async context; its place below the saved rbp always holds the one
// of the running function.
enum { TM_CPU_ASYNC_CONTEXT_AT_FP = -8 };

static inline int tm_cpu_is_async_entry(const uint8_t *code) {
    static const uint8_t landing[4] = {0xf3, 0x0f, 0x1e, 0xfa}, entry[8] = {0x55, 0x41, 0x56, 0x48, 0x8d, 0x6c, 0x24, 0x08};
    return __builtin_memcmp(__builtin_memcmp(code, landing, sizeof landing) == 0 ? code + sizeof landing : code, entry, sizeof entry) == 0;
}

// push rbp; mov rsp, rbp: how other functions begin that keep a frame pointer.
static inline int tm_cpu_is_frame_entry(const uint8_t *code) {
    static const uint8_t entry[4] = {0x55, 0x48, 0x89, 0xe5};
    return __builtin_memcmp(code, entry, sizeof entry) == 0;
}

enum { TM_CPU_FUNCTION_ALIGNMENT = 16 };

// The registers that a call preserves, and where this function stands, by DWARF number; the others stay as they are.
enum { TM_CPU_REGISTERS = 17 };

static inline __attribute__((always_inline)) void tm_cpu_capture(uint64_t *registers) {
    __asm__ volatile(
        "movq %%rbx, 24(%0)\n\tmovq %%rbp, 48(%0)\n\tmovq %%rsp, 56(%0)\n\tmovq %%r12, 96(%0)\n\tmovq %%r13, 104(%0)\n\t"
        "movq %%r14, 112(%0)\n\tmovq %%r15, 120(%0)\n\tleaq 0f(%%rip), %%rax\n\tmovq %%rax, 128(%0)\n0:"
        :
        : "r"(registers)
        : "rax", "memory");
}

// A saved frame pointer with the return address above it, as `call` and `push rbp` leave them.
struct tm_cpu_pair {
    _Alignas(16) uint64_t fp;
    uint64_t pc;
};
_Static_assert(sizeof(struct tm_cpu_pair) == 16, "compared as one vector with what is on the stack");

static inline __m128i tm_cpu_pair_difference(uintptr_t at, const struct tm_cpu_pair *pair) {
    return _mm_xor_si128(_mm_loadu_si128((const __m128i *)at), *(const __m128i *)pair);
}

static inline int tm_cpu_is_zero(__m128i bits) { return _mm_movemask_epi8(_mm_cmpeq_epi8(bits, _mm_setzero_si128())) == 0xffff; }

static inline uint64_t tm_cpu_two_places(const uint32_t *places) {
    uint64_t two;
    __builtin_memcpy(&two, places, sizeof two);
    return two;
}

// Of two pairs at once: their places are one load.
static inline __attribute__((always_inline)) __m128i tm_cpu_pairs_difference(
    uintptr_t base, const uint32_t *places, const struct tm_cpu_pair *pairs) {
    uint64_t two = tm_cpu_two_places(places);
    return _mm_or_si128(tm_cpu_pair_difference(base + (uint32_t)two, &pairs[0]), tm_cpu_pair_difference(base + (two >> 32), &pairs[1]));
}

// How many of the pairs, from the first on, still hold the remembered values? Usually all do.
static inline __attribute__((always_inline)) size_t tm_cpu_pairs_hold(
    uintptr_t base, const uint32_t *places, const struct tm_cpu_pair *pairs, size_t count) {
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m128i a = tm_cpu_pairs_difference(base, &places[i], &pairs[i]), b = tm_cpu_pairs_difference(base, &places[i + 2], &pairs[i + 2]);
        if (__builtin_expect(!tm_cpu_is_zero(_mm_or_si128(a, b)), 0)) break;
    }
    while (i < count && tm_cpu_is_zero(tm_cpu_pair_difference(base + places[i], &pairs[i]))) i++;
    return i;
}

// Whether all of them do; there is one at least. No branch for each: nearly always they do.
static inline __attribute__((always_inline)) int tm_cpu_pairs_are(
    uintptr_t base, const uint32_t *places, const struct tm_cpu_pair *pairs, size_t count) {
    const uint32_t *end = places + count;
    __m128i difference = tm_cpu_pair_difference(base + *places, pairs);
    for (places += count & 1, pairs += count & 1; places != end; places += 2, pairs += 2)
        difference = _mm_or_si128(difference, tm_cpu_pairs_difference(base, places, pairs));
    return tm_cpu_is_zero(difference);
}

// Of two single words, which make a vector.
static inline __attribute__((always_inline)) __m128i tm_cpu_words_difference(
    uintptr_t base, const uint32_t *places, const uint64_t *values) {
    uint64_t two = tm_cpu_two_places(places);
    __m128d first = _mm_load_sd((const double *)(base + (uint32_t)two));
    __m128i both = _mm_castpd_si128(_mm_loadh_pd(first, (const double *)(base + (two >> 32))));
    return _mm_xor_si128(both, _mm_loadu_si128((const __m128i *)(const void *)values));
}

// `count`: a constant, hence no loop.
static inline __attribute__((always_inline)) int tm_cpu_block_holds(
    uintptr_t base, const uint32_t *places, const uint64_t *values, uint32_t count) {
    __m128i difference = tm_cpu_words_difference(base, places, values);
#pragma clang loop unroll(full)
    for (uint32_t i = 2; i < count; i += 2) difference = _mm_or_si128(difference, tm_cpu_words_difference(base, places + i, values + i));
    return tm_cpu_is_zero(difference);
}

enum { TM_CPU_BLOCK = 8, TM_CPU_SMALL_BLOCK = 4 };

// The place of the first word that does not hold the remembered value any more; `end`: all do, which is usual. The last block may be
// partly the one before it: what is left needs no branch of its own.
static inline __attribute__((always_inline)) const uint32_t *tm_cpu_words_hold(
    uintptr_t base, const uint32_t *place, const uint32_t *end, const uint64_t *value) {
    if (__builtin_expect(end - place >= TM_CPU_BLOCK, 1)) {
        while (__builtin_expect(tm_cpu_block_holds(base, place, value, TM_CPU_BLOCK), 1)) {
            place += TM_CPU_BLOCK;
            value += TM_CPU_BLOCK;
            if (end - place >= TM_CPU_BLOCK) continue;
            if (place == end) return end;
            value += end - place - TM_CPU_BLOCK;
            place = end - TM_CPU_BLOCK;
        }
    } else if (end - place >= TM_CPU_SMALL_BLOCK && tm_cpu_block_holds(base, place, value, TM_CPU_SMALL_BLOCK)) {
        value += end - place - TM_CPU_SMALL_BLOCK;
        place = end - TM_CPU_SMALL_BLOCK;
        if (tm_cpu_block_holds(base, place, value, TM_CPU_SMALL_BLOCK)) return end;
    }
    for (; place != end; place++, value++) {
        uint64_t word;
        __builtin_memcpy(&word, (const void *)(base + *place), sizeof word);
        if (word != *value) break;
    }
    return place;
}

// Which of four tags, 8 aligned bytes, are the low 16 bits of this one: bit i * TM_CPU_TAG_BITS for tag i.
enum { TM_CPU_TAG_BITS = 2 };

static inline __attribute__((always_inline)) uint32_t tm_cpu_tags_equal(const uint16_t *tags, uint32_t tag) {
    __m128i all = _mm_shufflelo_epi16(_mm_cvtsi32_si128((int)tag), 0);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi16(all, _mm_loadl_epi64((const __m128i *)(const void *)tags))) & 0x55;
}

// Fetches a cache line for writing, if it can be had: an address without memory is no error. Older processors do nothing.
static inline __attribute__((always_inline)) void tm_cpu_fetch_to_write(const void *at) {
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
}

// Writes two words as one if they still are the expected ones (both aligned to 16).
static inline int tm_cpu_swap_pair(uint64_t *words, uint64_t from0, uint64_t from1, uint64_t to0, uint64_t to1) {
    unsigned __int128 from = (unsigned __int128)from1 << 64 | from0, to = (unsigned __int128)to1 << 64 | to0;
    return __sync_bool_compare_and_swap((unsigned __int128 *)words, from, to);
}

#endif
