// becoming.c: becomes itself (execve) as often as the argument says, and loses a block each time.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments) {
    int left = count > 1 ? atoi(arguments[1]) : 0;
    *(char *volatile *)&(char *){NULL} = memset(malloc(1000), 1, 1000);
    if (left == 0) return 0;
    usleep(3000);
    char text[12];
    snprintf(text, sizeof text, "%d", left - 1);
    execv("/proc/self/exe", (char *[]){arguments[0], text, NULL});
    return 1;
}
