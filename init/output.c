/*
 * The function's output on its way to the control plane: what is kept of it, and the frames that wait to be sent.
 *
 * The platform keeps, of each request, 1 MB and 5,000 lines per 5 seconds, and of each line 8 KB. The control plane
 * cuts at exactly that. What is far beyond would only cost it time, so init discards, and counts:
 *
 *   - whole lines, once a window of 5 s holds a line more than is kept: the control plane sees the limit passed;
 *   - of one line, what comes after its first 16 KB.
 *
 * A flush that is answered ends a request: the next begins with a new window.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "init.h"

enum {
    WINDOW_MS = 5000,
    WINDOW_BYTES = 1024 * 1024,
    WINDOW_LINES = 5000,
    COUNTED_BYTES = 8 * 1024, /* of a line */
    LINE_BYTES = 16 * 1024,
};

static unsigned char queue[QUEUE_BYTES];
static size_t queue_start, queue_end;

static int64_t window_until;
static size_t window_bytes, window_lines;
static size_t line;            /* bytes of the present line so far */
static bool dropping;          /* the present line is over the window's limit */
static bool announced;         /* that something was discarded, in this window */
static uint64_t discarded;     /* not yet told to the control plane */
static uint64_t not_copied;    /* not yet told in the copy */

/* ---------------------------------------------------------------- the queue */

bool queue_is_empty(void)
{
    return queue_start == queue_end;
}

/* For one frame, and a little one beside it. */
bool queue_has_room(size_t body)
{
    return QUEUE_BYTES - (queue_end - queue_start) >= HEAD_BYTES + body;
}

void queue_frame(char type, const void *body, size_t size)
{
    if (QUEUE_BYTES - queue_end < HEAD_BYTES + size) {
        memmove(queue, queue + queue_start, queue_end - queue_start);
        queue_end -= queue_start;
        queue_start = 0;
    }
    unsigned char head[HEAD_BYTES] = {(unsigned char)type, (unsigned char)(size >> 16), (unsigned char)(size >> 8),
                                      (unsigned char)size};
    memcpy(queue + queue_end, head, sizeof head);
    if (size > 0)
        memcpy(queue + queue_end + HEAD_BYTES, body, size);
    queue_end += HEAD_BYTES + size;
}

int send_queue(int fd)
{
    while (queue_start < queue_end) {
        ssize_t sent = send(fd, queue + queue_start, queue_end - queue_start, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM ? 1 : -1;
        queue_start += (size_t)sent;
    }
    queue_start = queue_end = 0;
    return 0;
}

/* ---------------------------------------------------------------- the platform's limits */

static void tell_discarded(void)
{
    unsigned char body[8];
    for (int byte = 0; byte < 8; byte++)
        body[byte] = (unsigned char)(discarded >> (8 * (7 - byte)));
    queue_frame('D', body, sizeof body);
    not_copied += discarded;
    discarded = 0;
}

static void new_window(int64_t until)
{
    window_until = until;
    window_bytes = window_lines = 0;
    announced = false;
}

static bool window_is_full(void)
{
    return window_bytes > WINDOW_BYTES || window_lines > WINDOW_LINES;
}

/* One line, or a part of one: how much of it is kept, from its beginning; its line end is decided on by itself. */
static size_t keep_of(size_t size)
{
    if (line == 0) {
        dropping = window_is_full();
        window_lines += !dropping;
    }
    size_t before = line;
    line += size;
    if (dropping)
        return 0;
    size_t counted = line < COUNTED_BYTES ? line : COUNTED_BYTES;
    window_bytes += before < counted ? counted - before : 0;
    return before + size <= LINE_BYTES ? size : before < LINE_BYTES ? LINE_BYTES - before : 0;
}

/* Moves what is kept together, and returns its size. */
static size_t sift(char *data, size_t size)
{
    size_t kept = 0;
    if (window_is_full() && (line == 0 || dropping)) { /* a flood: its lines need no look each */
        const char *end = memrchr(data, '\n', size);
        line = end != NULL ? (size_t)(data + size - end) - 1 : line + size;
        dropping = true;
        return 0;
    }
    for (size_t at = 0; at < size;) {
        const char *end = memchr(data + at, '\n', size - at);
        size_t length = end != NULL ? (size_t)(end - data) - at : size - at;
        size_t keep = length > 0 || line == 0 ? keep_of(length) : 0;
        memmove(data + kept, data + at, keep);
        kept += keep;
        at += length;
        if (end != NULL) {
            if (!dropping)
                data[kept++] = '\n';
            at++;
            line = 0;
        }
    }
    return kept;
}

void take_output(char *data, size_t size)
{
    int64_t now = now_ms();
    if (now >= window_until)
        new_window(now + WINDOW_MS);
    uint64_t before = discarded;
    size_t kept = sift(data, size);
    if (kept > 0 && before > 0)
        tell_discarded();
    if (kept > 0) {
        queue_frame('O', data, kept);
        copy_output(data, kept, not_copied);
        not_copied = 0;
    }
    discarded += size - kept;
    if (discarded > 0 && !announced) {
        announced = true;
        tell_discarded();
    }
}

void end_request(void)
{
    if (discarded > 0)
        tell_discarded();
    if (not_copied > 0)
        copy_output(NULL, 0, not_copied);
    not_copied = 0;
    new_window(0);
}
