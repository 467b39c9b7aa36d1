/*
 * The instance's init: PID 1 of every instance, between the control plane and the function's bootstrap.
 *
 * It connects to the control plane (dial.c), waits for "go", executes ./bootstrap (bootstrap.c), passes its output
 * on (output.c) and copies it to its own stdout (copy.c), watches memory (memory.c), and ends with its exit code. A
 * control plane of the same machine sees by itself when no output is under way (gauge.c). What is done when is in
 * loop.c.
 *
 * FRAMES: 1 byte type, 3 bytes length of the body, body. Numbers are big endian. A number is 4 bytes, a BIG one 8.
 *
 *   to init (always 8 bytes: one number)         from init
 *   G 0       go: execute the bootstrap, once    S                      exec went well
 *   F n       flush                              X errno stage          fork (1), setup (2) or exec (3) failed
 *   K signal  signal the bootstrap               O data                 output, at most 32 KB
 *   W ms      sample memory every ms; 0: not     D BIG count            so many bytes were discarded here
 *   Q 0       end now                            C                      every writer has closed the output
 *                                                N n BIG peak oom       flushed
 *                                                M BIG peak oom         memory has risen, or was killed for, since told
 *                                                E status BIG peak oom  the bootstrap has ended
 *
 * RULES
 *
 *  1. A flush is a border: what was written before its F arrived is sent before its N, what is written later comes
 *     later. The pipe's size at that moment counts (FIONREAD): with a writer that never stops it is never empty.
 *  2. N n answers every flush up to n. E answers all of them; it too comes after everything that was written before
 *     the bootstrap ended. What a surviving child writes after that belongs to nobody.
 *  3. S or X comes before anything else. After X comes an E whose status is what a shell would give: 127, or 126.
 *  4. init never waits in a write: commands are read while output cannot be sent. It reads the pipe only while there
 *     is room for it: that is what slows a function down.
 *  5. What the platform would not keep is discarded and counted: see output.c.
 *  6. After E, init waits for Q or the end of the connection: 200 ms after the last byte was taken. Before E, the end
 *     of the connection is the end of init, and of everything in the instance.
 *  7. A signal from outside the instance is passed on; one from inside is not. Where nothing runs, it ends init.
 *  8. Everything is opened before go: the function may take every limit of init's away.
 */

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "disks.h"
#include "init.h"

#define USAGE "usage: init [--place | --fd N [--gauge N] [--memory BYTES] [--files N]]"

static struct options options = {.fd = -1, .gauge = -1};

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One line for people, where `docker logs` shows it. */
void say(const char *format, ...)
{
    char line[512] = "[init] ";
    size_t used = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    va_end(arguments);
    strcat(line, "\n");
    if (write(STDOUT_FILENO, line, strlen(line)) < 0)
        return; /* nobody reads it */
}

/* As PID 1, the kernel kills everything else in the instance. */
_Noreturn void finish(int code)
{
    if (getpid() != 1)
        kill_below();
    write_copy();
    _exit(code);
}

static void read_arguments(int count, char **arguments)
{
    for (int at = 1; at < count; at++) {
        char *name = arguments[at], *rest = NULL;
        if (strcmp(name, "--place") == 0) {
            options.place = true;
            continue;
        }
        unsigned long long value = at + 1 < count ? strtoull(arguments[++at], &rest, 10) : 0;
        bool good = rest != NULL && *rest == '\0';
        if (good && strcmp(name, "--fd") == 0 && value <= 1024)
            options.fd = (int)value;
        else if (good && strcmp(name, "--gauge") == 0 && value <= 1024)
            options.gauge = (int)value;
        else if (good && strcmp(name, "--memory") == 0)
            options.memory_limit = value;
        else if (good && strcmp(name, "--files") == 0 && value <= UINT32_MAX)
            options.open_files = (uint32_t)value;
        else {
            say(USAGE);
            _exit(EXIT_USAGE);
        }
    }
}

int main(int count, char **arguments, char **variables)
{
    if (count > 1 && strcmp(arguments[1], "--disks") == 0)
        return keep_disks(count - 2, arguments + 2);
    if (count > 1 && strcmp(arguments[1], "--disk-check") == 0)
        return try_disk();
    prctl(PR_SET_DUMPABLE, 0); /* first of all: from here on /proc/1 is closed to the function */
    take_environment(variables);
    read_arguments(count, arguments);

    sigset_t every;
    sigfillset(&every);
    sigprocmask(SIG_SETMASK, &every, NULL);
    int signals = signalfd(-1, &every, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0) {
        say("cannot hear signals: %s", strerror(errno));
        _exit(EXIT_USAGE);
    }
    if (getpid() != 1)
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    prepare_bootstrap(&options);
    if (options.gauge >= 0)
        hand_gauge_over(options.gauge);
    open_memory(getpid() == 1 && options.fd < 0, options.memory_limit);
    open_copy(options.fd < 0);
    int control = options.fd >= 0 ? options.fd : dial(options.place, signals);
    run(&options, variables, control, signals);
}
