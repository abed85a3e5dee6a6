/* Many who listen on WebSockets: messages are counted by a byte that stands nowhere else, and timed by the moment behind it.
 *
 * The sockets are opened by fanout_child.py, which also says what is to be heard; here is only the loop that hears it.
 */
#include <sys/epoll.h>

#include "websocket.h"

enum { MOST_FILES = 1 << 16, AT_ONCE = 4096, DIGITS = 16, MARK = 0x7F };

static incoming places[MOST_FILES];
static char buffer[1 << 18];

/* What was heard. late_us: how long each was on its way, up to `room` of them; none are kept where it is NULL. */
typedef struct {
    int64_t heard, kept, room;
    uint32_t *late_us;
} tally;

int listen_to(int fd) {
    if (fd < 0 || fd >= MOST_FILES) return -1;
    places[fd] = (incoming){0};
    return 0;
}

static void note(tally *found, const char *data, const char *end, int64_t now) {
    if (found->kept >= found->room || end - data < DIGITS) return;
    int64_t said = 0;
    for (; data < end && *data >= '0' && *data <= '9'; data++) said = said * 10 + (*data - '0');
    found->late_us[found->kept++] = (uint32_t)((now - said) / 1000);
}

static void count(tally *found, const char *data, size_t size, int64_t now) {
    const char *end = data + size;
    while ((data = memchr(data, MARK, (size_t)(end - data))) != NULL) {
        data++;
        found->heard++;
        if (found->late_us != NULL) note(found, data, end, now);
    }
}

/* A ping of WebSocket or of Engine.IO, which both expect an answer to. */
static int answer(int fd, const incoming *in, const char *payload) {
    char frame[MOST_SENT_HEAD + 1];
    if (in->kind == PING) return say(fd, frame, sent_head(frame, PONG, 0));
    if (in->kind != TEXT || in->size != 1 || *payload != '2') return 0;
    size_t head = sent_head(frame, TEXT, 1);
    frame[head] = '3';
    return say(fd, frame, head + 1);
}

static int take(int fd, tally *found) {
    ssize_t size = recv(fd, buffer, sizeof buffer, 0);
    if (size <= 0) return -1;
    incoming *in = &places[fd];
    int64_t now = found->late_us == NULL ? 0 : now_ns();
    for (size_t at = 0; at < (size_t)size;) {
        if (in->left == 0) {
            int whole;
            at += take_head(in, (unsigned char *)buffer + at, (size_t)size - at, &whole);
            if (whole && in->kind == CLOSE) return -1;
            if (whole && in->size == 0 && answer(fd, in, "")) return -1;
            continue;
        }
        size_t part = (size_t)size - at;
        if (part > in->left) part = in->left;
        count(found, buffer + at, part, now);
        if (in->size == 1 && answer(fd, in, buffer + at)) return -1;
        in->left -= part;
        at += part;
    }
    return 0;
}

/* Hears until so many have come, or the time is over. 0, or the number of a connection that was closed. */
int hear(int epoll, int64_t wanted, int64_t wait_ns, tally *found) {
    struct epoll_event ready[AT_ONCE];
    int64_t stop = now_ns() + wait_ns, before = found->heard;
    for (;;) {
        int64_t rest = stop - now_ns();
        int count = epoll_wait(epoll, ready, AT_ONCE, rest > 0 ? (int)((rest + 999999) / 1000000) : 0);
        for (int i = 0; i < count; i++)
            if (take(ready[i].data.fd, found)) return ready[i].data.fd;
        if (found->heard - before >= wanted || rest <= 0) return 0;
    }
}
