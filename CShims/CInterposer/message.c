// message.c: one line on standard error, written at once so that lines of several processes do not mix.
#include "message.h"

#include <stdarg.h>
#include <string.h>

#include "system_calls.h"

void tm_message(const char *part, ...) {
    char line[1024] = "tracemalloc: ";
    size_t length = strlen(line);
    va_list parts;
    va_start(parts, part);
    for (; part; part = va_arg(parts, const char *)) {
        // Text from the environment may hold anything; a terminal must not obey it.
        for (; *part && length < sizeof line - 1; part++) line[length++] = (unsigned char)*part < ' ' || *part == 127 ? '?' : *part;
    }
    va_end(parts);
    line[length++] = '\n';
    tm_write(2, line, length);
}
