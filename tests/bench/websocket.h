/* What a load reads of a server's frames (RFC 6455 5.2): heads that the kernel may cut anywhere, and payloads in parts.
 *
 * A mask that changes nothing is a mask, too, so what is sent is written as it is.
 */
#ifndef POLIS_BENCH_WEBSOCKET_H
#define POLIS_BENCH_WEBSOCKET_H

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 0x1, CLOSE = 0x8, PING = 0x9, PONG = 0xA };
enum { MOST_HEAD = 10, MOST_SENT_HEAD = 8 };

/* One connection's place in what comes. size: of the frame at hand; left: what of its payload has not come yet. */
typedef struct {
    uint64_t size, left;
    unsigned char head[MOST_HEAD], have, kind;
} incoming;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static unsigned head_size(unsigned char second) {
    return (second & 0x7F) == 126 ? 4 : (second & 0x7F) == 127 ? 10 : 2;
}

/* Takes bytes of a head; how many. Its frame begins when `left` and `size` are set: then it returns with `have` 0. */
static size_t take_head(incoming *in, const unsigned char *data, size_t size, int *whole) {
    size_t taken = 0;
    *whole = 0;
    while (taken < size) {
        in->head[in->have++] = data[taken++];
        if (in->have < 2 || in->have < head_size(in->head[1])) continue;
        uint64_t length = in->head[1] & 0x7F;
        if (in->have > 2) {
            length = 0;
            for (unsigned i = 2; i < in->have; i++) length = length << 8 | in->head[i];
        }
        in->kind = in->head[0] & 0x0F;
        in->size = in->left = length;
        in->have = 0;
        *whole = 1;
        break;
    }
    return taken;
}

/* The head of a client's frame into `to`; its size. */
static size_t sent_head(char *to, int kind, size_t size) {
    size_t at = 0;
    to[at++] = (char)(0x80 | kind);
    if (size < 126) {
        to[at++] = (char)(0x80 | size);
    } else {
        to[at++] = (char)(0x80 | 126);
        to[at++] = (char)(size >> 8);
        to[at++] = (char)size;
    }
    memset(to + at, 0, 4);
    return at + 4;
}

/* Send all of it. 0, or -1 with errno. What a load says is small: a buffer that is full is a fault. */
static int say(int fd, const char *data, size_t size) {
    ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    if (sent >= 0 && (size_t)sent < size) errno = EWOULDBLOCK;
    return sent == (ssize_t)size ? 0 : -1;
}

#endif
