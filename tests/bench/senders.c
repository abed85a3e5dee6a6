/* Many who post on WebSockets, each with so many posts in flight, and what is told checked by its numbers.
 *
 * posts_child.py opens the sockets, has those that follow a conversation told its snapshot, and reads what was found.
 * Posts are numbered over all senders: the number is the call's id, and `base` more than it the client id of the message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "websocket.h"

enum { AT_ONCE = 64, MOST_SAID = 512, HELD = 1 << 22, MOST_FAULT = 256 };

/* last: the number that its conversation was at, or -1 where it follows none. */
typedef struct {
    int32_t fd, in_flight;
    int64_t last;
    const char *conversation;
} sender;

/* By the number of a post: when it began, how long it took to the answer (0: none yet), and how often it was told. */
typedef struct {
    int64_t base, room, posted, acked, told;
    int64_t *began_ns;
    uint32_t *wait_us;
    uint8_t *times_told;
    int64_t until_ns, ended_ns;
    char fault[MOST_FAULT];
} work;

typedef struct {
    char *bytes;
    size_t size;
} held;

static int faulty(work *w, const char *what, const char *at, size_t size) {
    if (!w->fault[0]) snprintf(w->fault, sizeof w->fault, "%s: %.*s", what, (int)(size < 160 ? size : 160), at);
    return -1;
}

static size_t post(work *w, sender *s, char *to) {
    static const char text[] = "Is anybody at the gate? The flight to Oslo is called, and we are two short.";
    char said[MOST_SAID];
    int64_t number = w->posted++;
    int size = snprintf(said, sizeof said,
        "{\"op\":\"call\",\"id\":%lld,\"name\":\"PostMessage\",\"request\":"
        "{\"conversation_id\":\"%s\",\"text\":\"%s\",\"client_id\":\"%lld\"}}",
        (long long)number, s->conversation, text, (long long)(w->base + number));
    size_t head = sent_head(to, TEXT, (size_t)size);
    memcpy(to + head, said, (size_t)size);
    w->began_ns[number] = now_ns();
    s->in_flight++;
    return head + (size_t)size;
}

/* Until it has `flights` in flight again, in one write, as long as there is time. */
static int go_on(work *w, sender *s, int flights, int64_t now) {
    char said[AT_ONCE * (MOST_SAID + MOST_SENT_HEAD)];
    size_t size = 0;
    for (int n = 0; n < AT_ONCE && s->in_flight < flights && now < w->until_ns && w->posted < w->room; n++)
        size += post(w, s, said + size);
    return size == 0 || say(s->fd, said, size) == 0 ? 0 : faulty(w, "a post is not taken", "", 0);
}

static int acked(work *w, sender *s, const char *at, size_t size, int64_t now) {
    int64_t number = atoll(at + strlen("{\"op\":\"ack\",\"id\":"));
    if (number < 0 || number >= w->posted || w->wait_us[number]) return faulty(w, "nobody asked", at, size);
    w->wait_us[number] = (uint32_t)((now - w->began_ns[number]) / 1000) + 1;
    w->acked++;
    s->in_flight--;
    w->ended_ns = now;
    return 0;
}

/* Each entry is the next of its conversation, and each post is told once. */
static int told(work *w, sender *s, const char *at, size_t size) {
    static const char entry[] = "\"entry\":{\"seq\":", client[] = "\"client_id\":\"";
    const char *end = at + size, *found = at;
    while ((found = memmem(found, (size_t)(end - found), entry, sizeof entry - 1)) != NULL) {
        found += sizeof entry - 1;
        int64_t seq = atoll(found);
        if (s->last >= 0 && seq != s->last + 1) return faulty(w, "a number is missing or told again before", found, (size_t)(end - found));
        s->last = s->last < 0 ? s->last : seq;
        const char *named = memmem(found, (size_t)(end - found), client, sizeof client - 1);
        if (named == NULL) continue;
        int64_t number = atoll(named + sizeof client - 1) - w->base;
        if (number < 0 || number >= w->posted || w->times_told[number]++)
            return faulty(w, "told what was not posted, or twice", named, (size_t)(end - named));
        w->told++;
    }
    return 0;
}

static int starts(const char *at, size_t size, const char *with) {
    return size >= strlen(with) && memcmp(at, with, strlen(with)) == 0;
}

static int take_text(work *w, sender *s, const char *at, size_t size, int64_t now) {
    if (starts(at, size, "{\"op\":\"ack\"")) return acked(w, s, at, size, now);
    if (starts(at, size, "{\"op\":\"events\"")) return told(w, s, at, size);
    return faulty(w, "unexpected", at, size);
}

/* The frames that are whole; what is left of another stays where it is. */
static int take(work *w, sender *s, held *h) {
    ssize_t came = recv(s->fd, h->bytes + h->size, HELD - h->size, 0);
    if (came <= 0) return faulty(w, "the server closed a connection", "", 0);
    h->size += (size_t)came;
    int64_t now = now_ns();
    size_t at = 0;
    for (;;) {
        incoming in = {0};
        int whole = 0;
        size_t head = take_head(&in, (unsigned char *)h->bytes + at, h->size - at, &whole);
        if (!whole || h->size - at - head < in.size) break;
        const char *payload = h->bytes + at + head;
        at += head + in.size;
        char pong[MOST_SENT_HEAD];
        if (in.kind == CLOSE) return faulty(w, "the server closed", payload, in.size);
        if (in.kind == PING && say(s->fd, pong, sent_head(pong, PONG, 0))) return faulty(w, "a pong is not taken", "", 0);
        if (in.kind == TEXT && take_text(w, s, payload, in.size, now)) return -1;
    }
    memmove(h->bytes, h->bytes + at, h->size -= at);
    return 0;
}

static int serve(work *w, sender *senders, int count, int flights, int epoll, held *holds, int64_t patience_ns) {
    struct epoll_event event = {.events = EPOLLIN}, ready[AT_ONCE];
    for (int i = 0; i < count; i++) {
        event.data.u32 = (uint32_t)i;
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, senders[i].fd, &event)) return faulty(w, "epoll", "", 0);
        if (go_on(w, &senders[i], flights, now_ns())) return -1;
    }
    while (now_ns() < w->until_ns || w->acked < w->posted || w->told < w->posted) {
        if (now_ns() > w->until_ns + patience_ns) return faulty(w, "not all was answered and told", "", 0);
        int due = epoll_wait(epoll, ready, AT_ONCE, 20);
        for (int i = 0; i < due; i++) {
            sender *s = &senders[ready[i].data.u32];
            if (take(w, s, &holds[ready[i].data.u32]) || go_on(w, s, flights, now_ns())) return -1;
        }
    }
    return 0;
}

/* Post until the time is over, and wait for what is still to come. 0, or -1 with the fault told. */
int work_through(work *w, sender *senders, int count, int flights, int64_t patience_ns) {
    int epoll = epoll_create1(0), failed = -1;
    held *holds = calloc((size_t)count, sizeof *holds);
    char *bytes = malloc((size_t)count * HELD);
    if (epoll >= 0 && holds != NULL && bytes != NULL) {
        for (int i = 0; i < count; i++) holds[i].bytes = bytes + (size_t)i * HELD;
        failed = serve(w, senders, count, flights, epoll, holds, patience_ns);
    }
    free(bytes);
    free(holds);
    if (epoll >= 0) close(epoll);
    return failed;
}
