/*
 * The loop: what comes in from the control plane, the bootstrap and the kernel, and what follows from it.
 *
 * Each turn does everything in one order: how exec went, signals, commands, output, the border, what can be sent.
 */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

enum {
    LINGER_MS = 200,
    FIRST_SAMPLES_MS = 50,
    STUCK_MS = 60000, /* CUT_MS while the control plane takes nothing */
};

enum { CONTROL = 1, SIGNALS = 2, REPORT = 4, OUTPUT = 8, COPY = 16 };

static const struct options *options;
static char **environment;
static int epoll, signals, control;
static bool went, told;        /* G was obeyed, E was queued */
static bool border;            /* a flush is open, or the end is to be told */
static uint32_t border_number; /* of the newest flush */
static size_t border_left;     /* bytes to be read from the pipe until then */
static int64_t linger_until;
static uint64_t told_peak;     /* memory, as the control plane knows it */
static uint32_t told_kills;

static int exit_code(void)
{
    int status = bootstrap.status;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---------------------------------------------------------------- frames */

static uint32_t number_at(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static unsigned char *put_number(unsigned char *bytes, uint64_t number, int size)
{
    for (int byte = size - 1; byte >= 0; byte--)
        *bytes++ = (unsigned char)(number >> (8 * byte));
    return bytes;
}

static void queue_failure(int error, int stage)
{
    unsigned char body[8];
    put_number(put_number(body, (uint32_t)error, 4), (uint32_t)stage, 4);
    queue_frame('X', body, sizeof body);
}

/* The greatest memory sampled so far, and the OOM kills: what the control plane knows from here on. */
static unsigned char *put_memory(unsigned char *bytes)
{
    told_peak = memory_peak();
    told_kills = oom_kills();
    return put_number(put_number(bytes, told_peak, 8), told_kills, 4);
}

/* N or E: a number, and memory. */
static void queue_border(char type, uint32_t number)
{
    unsigned char body[16];
    put_memory(put_number(body, number, 4));
    queue_frame(type, body, sizeof body);
}

/* M: what a sample between two flushes saw. Each is 1 % above the last one, so there are never many. */
static void tell_memory(void)
{
    unsigned char body[12];
    bool news = memory_peak() > told_peak + told_peak / 100 || oom_kills() != told_kills;
    if (!news || !bootstrap.started || told || !queue_has_room(64))
        return;
    put_memory(body);
    queue_frame('M', body, sizeof body);
}

/* ---------------------------------------------------------------- what comes in */

static void open_border(void)
{
    int waiting = 0;
    if (bootstrap.output >= 0)
        ioctl(bootstrap.output, FIONREAD, &waiting);
    border_left = (size_t)waiting;
    border = true;
}

static void close_output(void)
{
    close(bootstrap.output); /* which takes it out of the epoll set */
    bootstrap.output = -1;
    border_left = 0;
}

static void watch(int fd, uint32_t name, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = name};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) < 0 && errno == ENOENT)
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void take_report(void)
{
    int error, stage;
    if (!read_report(&error, &stage))
        return;
    if (error == 0) {
        queue_frame('S', NULL, 0);
        return;
    }
    queue_failure(error, stage);
    close_output(); /* nothing of the function's can be in it */
}

static void go(void)
{
    if (went || options->place)
        return;
    went = true;
    sample_every(FIRST_SAMPLES_MS);
    int error = fork_bootstrap(environment);
    if (error == 0) {
        watch(bootstrap.report, REPORT, EPOLLIN);
        watch(bootstrap.output, OUTPUT, EPOLLIN);
        return;
    }
    queue_failure(error, STAGE_FORK);
    close_output();
    bootstrap.ended = true;
    bootstrap.status = 126 << 8;
    open_border();
}

static void obey(const unsigned char command[COMMAND_BYTES])
{
    uint32_t value = number_at(command + HEAD_BYTES);
    bool sized = command[1] == 0 && command[2] == 0 && command[3] == COMMAND_BYTES - HEAD_BYTES;
    switch (sized ? command[0] : 0) {
    case 'G':
        go();
        return;
    case 'F':
        border_number = value;
        if (!bootstrap.ended)
            open_border();
        return;
    case 'K':
        if (bootstrap.pid > 0 && value >= 1 && value <= (uint32_t)SIGRTMAX)
            kill(bootstrap.pid, (int)value);
        return;
    case 'W':
        sample_every(value);
        return;
    case 'Q':
        finish(bootstrap.ended ? exit_code() : bootstrap.pid > 0 ? 128 + SIGKILL : 0);
    default:
        say("the control plane sent what is no command: it is of another version than this image");
        finish(EXIT_GONE);
    }
}

static void hung_up(void)
{
    finish(told ? exit_code() : EXIT_GONE);
}

static void take_commands(void)
{
    static unsigned char commands[32 * COMMAND_BYTES];
    static size_t held;
    ssize_t got = recv(control, commands + held, sizeof commands - held, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        hung_up();
    held += got > 0 ? (size_t)got : 0;
    size_t taken = 0;
    for (; held - taken >= COMMAND_BYTES; taken += COMMAND_BYTES)
        obey(commands + taken);
    memmove(commands, commands + taken, held - taken);
    held -= taken;
}

/* Signals that ask a program to end do so here, where there is no bootstrap to hear them. */
static void pass_on(int number)
{
    if (bootstrap.pid > 0)
        kill(bootstrap.pid, number);
    else if (number == SIGTERM || number == SIGINT || number == SIGHUP || number == SIGQUIT)
        finish(128 + number);
}

static void take_signals(void)
{
    struct signalfd_siginfo info;
    for (int few = 0; few < 64; few++) { /* a flood of them must not keep the rest from being done */
        if (read(signals, &info, sizeof info) != (ssize_t)sizeof info)
            return;
        int number = (int)info.ssi_signo;
        if (number == SIGCHLD) {
            take_report(); /* how exec went, before how it ended */
            reap();
            if (bootstrap.ended && !told)
                open_border();
        } else if (getpid() != 1) {
            /* Whoever sent it: from here, inside and outside look alike. */
            if (number == SIGTERM || number == SIGINT || number == SIGHUP)
                finish(128 + number);
        } else if (info.ssi_code == SI_USER && info.ssi_pid == 0) {
            /* The sender has no number here: outside. No forgery: the kernel keeps SI_USER to kill(). */
            pass_on(number);
        }
    }
}

/* ---------------------------------------------------------------- what goes out */

/* One chunk a turn; to a border everything that fits. */
static void read_output(bool ready)
{
    static char chunk[CHUNK_BYTES];
    while (bootstrap.output >= 0 && !told && (border ? border_left > 0 : ready)) {
        if (!bootstrap.started || !queue_has_room(2 * HEAD_BYTES + 8 + CHUNK_BYTES) || !copy_has_room(border))
            return;
        size_t wanted = border && border_left < sizeof chunk ? border_left : sizeof chunk;
        begin_taking();
        ssize_t got = read(bootstrap.output, chunk, wanted);
        end_taking(got > 0 ? (size_t)got : 0);
        if (got < 0)
            return;
        if (got == 0) {
            close_output();
            queue_frame('C', NULL, 0);
            return;
        }
        take_output(chunk, (size_t)got);
        if (!border)
            return;
        border_left -= (size_t)got;
    }
}

static void answer_border(void)
{
    if (!border || border_left > 0 || !queue_has_room(64))
        return;
    border = false;
    sample_memory(bootstrap.ended);
    end_request();
    if (!bootstrap.ended) {
        queue_border('N', border_number);
        return;
    }
    queue_border('E', (uint32_t)bootstrap.status);
    told = true;
    linger_until = now_ms() + LINGER_MS;
    if (bootstrap.output >= 0)
        close_output();
}

/*
 * The kernel gives up a connection whose other end acknowledges nothing for TCP_USER_TIMEOUT, but also one whose other
 * end is there and reads nothing for so long. A control plane that is stopped for some seconds is no reason to die.
 */
static void be_patient(bool patient)
{
    static bool was;
    if (patient == was)
        return;
    was = patient;
    int limit = patient ? STUCK_MS : CUT_MS;
    setsockopt(control, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit); /* no TCP: fails, harmless */
}

static void send_frames(void)
{
    static bool waiting;
    int rest = send_queue(control);
    if (rest < 0)
        hung_up();
    if (rest > 0 || waiting) {
        be_patient(rest > 0);
        watch(control, CONTROL, EPOLLIN | (rest > 0 ? EPOLLOUT : 0));
    }
    waiting = rest > 0;
}

/* EPOLLONESHOT without events: the end of the pipe is told once, and not again and again. */
static void watch_output(void)
{
    static bool watched = true;
    if (bootstrap.output < 0 || !went)
        return;
    bool room = bootstrap.started && queue_has_room(2 * HEAD_BYTES + 8 + CHUNK_BYTES) && copy_has_room(border);
    if (room == watched)
        return;
    watched = room;
    watch(bootstrap.output, OUTPUT, room ? EPOLLIN : EPOLLONESHOT);
}

static void watch_copy(void)
{
    static bool watched;
    int fd = write_copy();
    bool waits = fd >= 0;
    if (waits || watched)
        watch(STDOUT_FILENO, COPY, waits ? EPOLLOUT : EPOLLONESHOT);
    watched = waits;
}

/* ---------------------------------------------------------------- the loop */

/* After E: until all of it was taken, and 200 ms more. What a dead container has not sent is lost. */
static void linger(int64_t now)
{
    int unsent = 0;
    if (!told || now < linger_until)
        return;
    if (options->fd < 0)
        ioctl(control, TIOCOUTQ, &unsent);
    if (queue_is_empty() && unsent == 0)
        finish(exit_code());
    linger_until = now + LINGER_MS;
}

static int patience(void)
{
    int64_t until = next_sample();
    if (copy_deadline() < until)
        until = copy_deadline();
    if (told && linger_until < until)
        until = linger_until;
    if (until == INT64_MAX)
        return -1;
    int64_t left = until - now_ms();
    return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

_Noreturn void run(const struct options *chosen, char **variables, int connection, int signal_fd)
{
    struct epoll_event events[8];
    options = chosen;
    environment = variables;
    control = connection;
    signals = signal_fd;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) {
        say("cannot watch anything: %s", strerror(errno));
        finish(EXIT_USAGE);
    }
    watch(signals, SIGNALS, EPOLLIN);
    watch(control, CONTROL, EPOLLIN);
    for (;;) {
        int count = epoll_wait(epoll, events, 8, patience());
        uint32_t ready = 0;
        for (int event = 0; event < count; event++)
            ready |= events[event].data.u32;
        if (ready & REPORT)
            take_report();
        if (ready & SIGNALS)
            take_signals();
        if (ready & CONTROL)
            take_commands();
        read_output(ready & OUTPUT);
        answer_border();
        int64_t now = now_ms();
        if (now >= next_sample()) {
            sample_memory(true);
            tell_memory();
        }
        send_frames();
        watch_copy();
        watch_output();
        linger(now);
    }
}
