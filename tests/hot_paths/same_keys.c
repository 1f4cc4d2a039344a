/* Stands before the C library while instructions are counted: hash maps get the same keys in every process. */
#include <string.h>
#include <sys/types.h>

ssize_t getrandom(void *buffer, size_t length, unsigned flags) {
    (void)flags;
    memset(buffer, 7, length);
    return (ssize_t)length;
}
