// frame_record.h: where a hook was called from. The only knowledge about frames that the hooks need.
#ifndef TM_FRAME_RECORD_H
#define TM_FRAME_RECORD_H

#include "unwinder.h"

#if defined(__x86_64__)
// Of the function that it stands in, which is to have a frame pointer (-fno-omit-frame-pointer), and must not return before it is used.
#define TM_FRAME_RECORD ((const struct tm_frame_record *)__builtin_frame_address(0))
#else
#error "the unwinder knows x86-64 so far"
#endif

#endif
