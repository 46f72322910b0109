// cpu.h: which file knows this processor.
#ifndef TM_FREEZER_CPU_H
#define TM_FREEZER_CPU_H

#if defined(__x86_64__)
#include "cpu_x86_64.h"
#else
#error "tracemalloc runs on x86-64 so far"
#endif

#endif
