// strange_names.c: a source file and a function whose names hold a newline, an escape sequence and HTML. Every output escapes them.
#include "claims.h"

SEPARATE static void strange(void) __asm__("\"<b>strange</b>&\"");

#line 7 "evil\n\033[31m<script>alert(1)</script>.c"
SEPARATE static void strange(void) { TOUCH(malloc(3001)); }

int main(void) {
    strange();
    return 0;
}
