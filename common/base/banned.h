// Functions that have no place in this tree. Included in every file by the compiler's command line.
#ifndef HW_BANNED_H
#define HW_BANNED_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#ifdef HW_INCLUDE_FIRST // of a library whose header has macros that name one of them
#include HW_INCLUDE_FIRST
#endif
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok strtok_r atoi atol atoll  \
    localtime gmtime gets asctime ctime mktemp tmpnam
#endif
