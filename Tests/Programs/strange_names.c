// strange_names.c: a source file and a function whose names hold a newline, an escape sequence and HTML, or, where LONG is defined,
// one of 10,000 characters. Every output escapes or shortens them.
#include "claims.h"

#ifdef LONG
SEPARATE static void strange(void) __asm__(LONG);
#line 7 LONG
#else
SEPARATE static void strange(void) __asm__("\"<b>strange</b>&\"");
#line 7 "evil\n\033[31m<script>alert(1)</script>.c"
#endif
SEPARATE static void strange(void) { TOUCH(malloc(3001)); }

int main(void) {
    strange();
    return 0;
}
