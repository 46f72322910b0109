// words.h: what the program says in the stream of events: marks, and the ranges that it tracks by itself.
#ifndef TM_WORDS_H
#define TM_WORDS_H

#include <stdbool.h>

#include "CRecording.h"

// False when nothing is being recorded.
bool tm_say(enum tm_control control, const char *text);

#endif
