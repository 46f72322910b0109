// exit_check.h: the program waits at its end until the collector has looked at what it leaves behind.
#ifndef TM_EXIT_CHECK_H
#define TM_EXIT_CHECK_H

// The program calls exit: its own frames end at `stack`.
void tm_exit_called(const void *stack);

// The program is over, and its memory still there. Waits if that was asked for, once.
void tm_exit_check(void);

#endif
