// cpu_x86_64.h: the registers of a stopped thread.
#ifndef TM_FREEZER_CPU_X86_64_H
#define TM_FREEZER_CPU_X86_64_H

#include <elf.h>
#include <stdint.h>
#include <sys/user.h>

typedef struct user_regs_struct tm_registers;

// Vector registers too: optimized code moves pointers in them, two and four at a time.
#define TM_VECTOR_REGISTERS NT_X86_XSTATE
// Largest state so far: AVX-512 and AMX tiles.
#define TM_VECTOR_BYTES (16u << 10)

// Leaf functions keep data below the stack pointer.
#define TM_RED_ZONE 128u

static inline uint64_t tm_stack_pointer(const tm_registers *registers) { return registers->rsp; }
static inline uint64_t tm_thread_pointer(const tm_registers *registers) { return registers->fs_base; }

#endif
