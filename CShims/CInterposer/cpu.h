// cpu.h: chooses the file that knows the CPU.
#ifndef TM_CPU_H
#define TM_CPU_H

#if defined(__x86_64__)
#include "cpu_x86_64.h"
#else
#error "this CPU is not supported yet"
#endif

#endif
