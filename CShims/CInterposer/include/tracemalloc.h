// tracemalloc.h: the control verbs.
