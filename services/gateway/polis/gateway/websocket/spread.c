/* The same bytes to many sockets in one call: what a delivery takes beside the kernel's own part is next to nothing.
 *
 * It waits for nobody and judges no error: whoever has not taken all is told to the caller, whose transport finds out why.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct { int32_t place, taken; } behind;

/* numbers: file descriptors, -1 for those left out. Into `those`, which has room for all: who is behind. How many they are. */
int32_t polis_spread(const int32_t *numbers, int32_t count, const char *data, size_t size, behind *those) {
    int32_t late = 0;
    for (int32_t i = 0; i < count; i++) {
        ptrdiff_t sent = numbers[i] < 0 ? 0 : send(numbers[i], data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent == (ptrdiff_t)size) continue;
        those[late++] = (behind){i, sent < 0 ? 0 : (int32_t)sent};
    }
    return late;
}
