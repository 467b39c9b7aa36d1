/*
 * A copy of the output on init's own stdout, for `docker logs`. It may lose: the engine's log is no reason for a
 * function to hang. A line of init's own says where, and how much.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "init.h"

enum {
    MARKER_BYTES = 128,
    STUCK_MS = 200, /* a log that takes nothing for so long is not waited for any more */
};

static char copy[COPY_BYTES];
static size_t held;
static bool wanted, stuck, in_a_line;
static int64_t progress;        /* when the engine last took something */
static uint64_t over_limit, lost;

void open_copy(bool is_wanted)
{
    int flags = fcntl(STDOUT_FILENO, F_GETFL);
    wanted = is_wanted && flags >= 0 && fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* A border takes at most a pipe's content: it may use what is kept free for it, so that it need not wait. */
bool copy_has_room(bool for_border)
{
    size_t most = for_border ? COPY_BYTES - CHUNK_BYTES - 2 * MARKER_BYTES : COPY_BYTES / 2;
    return !wanted || stuck || held <= most;
}

int64_t copy_deadline(void)
{
    return held > 0 && !stuck ? progress + STUCK_MS : INT64_MAX;
}

static void append(const char *data, size_t size)
{
    if (size == 0)
        return;
    if (held == 0)
        progress = now_ms();
    memcpy(copy + held, data, size);
    held += size;
    in_a_line = data[size - 1] != '\n';
}

static void mark(uint64_t *bytes, const char *reason)
{
    char marker[MARKER_BYTES];
    if (*bytes == 0)
        return;
    int size = snprintf(marker, sizeof marker, "%s[init] %" PRIu64 " bytes are missing here: %s\n",
                        in_a_line ? "\n" : "", *bytes, reason);
    append(marker, (size_t)size);
    *bytes = 0;
}

static void mark_missing(void)
{
    if (COPY_BYTES - held < 2 * MARKER_BYTES)
        return;
    mark(&lost, "the engine's log was too slow");
    mark(&over_limit, "over the platform's log limit");
}

void copy_output(const char *data, size_t size, uint64_t discarded_before)
{
    if (!wanted)
        return;
    over_limit += discarded_before;
    if (lost == 0 || COPY_BYTES - held >= COPY_BYTES / 2)
        mark_missing();
    if (lost == 0 && COPY_BYTES - held >= size)
        append(data, size);
    else
        lost += size;
}

int write_copy(void)
{
    if (!wanted)
        return -1;
    if (held < COPY_BYTES / 2)
        mark_missing();
    size_t written = 0;
    while (written < held) {
        ssize_t now = write(STDOUT_FILENO, copy + written, held - written);
        if (now < 0 && errno != EAGAIN && errno != EINTR) {
            wanted = false; /* nobody is there to read it */
            held = 0;
            return -1;
        }
        if (now < 0)
            break;
        written += (size_t)now;
    }
    held -= written;
    memmove(copy, copy + written, held);
    if (written > 0) {
        progress = now_ms();
        stuck = stuck && held > COPY_BYTES / 2;
    } else if (held > 0 && now_ms() >= progress + STUCK_MS) {
        stuck = true;
    }
    return held > 0 ? STDOUT_FILENO : -1;
}
