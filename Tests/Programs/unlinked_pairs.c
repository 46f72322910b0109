// unlinked_pairs.c: prints how long a malloc and its free take in a program that links no tracer; tools/overhead runs it.
#include <stdio.h>
#include "../CTracerBehaviors/pairs.h"

int main(int count, char **arguments) {
    printf("%.2f\n", pairs(count > 1 ? atoi(arguments[1]) : 20));
    return 0;
}
