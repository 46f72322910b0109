// message.h: one line on standard error, without stdio and without allocating.
#ifndef TM_MESSAGE_H
#define TM_MESSAGE_H

// Writes "tracemalloc: " and the parts, the last of which is followed by NULL.
void tm_message(const char *part, ...) __attribute__((sentinel));

#endif
