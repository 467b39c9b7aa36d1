/*
 * The connection to the control plane's runtime port: address and secret from the environment, one HTTP request,
 * upgraded to frames.
 *
 * A static glibc must not look names up (it would load the image's own libraries): the address is numeric.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "init.h"

enum {
    VALUE_BYTES = 256,     /* of a variable of init's */
    ANSWER_BYTES = 4096,   /* the most of an answer's head */
    ANSWER_MS = 30 * 1000, /* a control plane that starts hundreds of instances at once takes its time */
    KEEPALIVE_S = 1,
    KEEPALIVE_PROBES = 3,
    SEND_BYTES = 128 * 1024, /* the kernel keeps twice as much; it is the instance's memory */
};

static const char OWN[] = "SCF_INIT_";
static char address[VALUE_BYTES], secret[VALUE_BYTES], name[VALUE_BYTES], meeting[VALUE_BYTES];

static void wipe(char *bytes, size_t size)
{
    for (volatile char *byte = bytes; size > 0; size--)
        *byte++ = 0;
}

/* The value of VARIABLE, if the entry is that one; else what was there already. */
static void keep(const char *entry, const char *variable, char *value)
{
    size_t length = strlen(variable);
    if (strncmp(entry, variable, length) == 0 && entry[length] == '=' && strlen(entry + length + 1) < VALUE_BYTES)
        strcpy(value, entry + length + 1);
}

/* The rest stays as it is, in its order: the function's environment is exactly what was configured. */
void take_environment(char **environment)
{
    char **kept = environment;
    for (char **entry = environment; *entry != NULL; entry++) {
        keep(*entry, "SCF_RUNTIME_API", name);
        if (strncmp(*entry, OWN, strlen(OWN)) != 0) {
            *kept++ = *entry;
            continue;
        }
        keep(*entry, "SCF_INIT_ADDRESS", address);
        keep(*entry, "SCF_INIT_SECRET", secret);
        keep(*entry, "SCF_INIT_MEETING", meeting);
        wipe(*entry, strlen(*entry)); /* also what /proc/1/environ shows */
    }
    *kept = NULL;
}

static void check_values(void)
{
    const char *values[] = {address, secret, name};
    for (int at = 0; at < 3; at++) {
        bool good = values[at][0] != '\0';
        for (const char *byte = values[at]; *byte != '\0'; byte++)
            good = good && *byte > ' ' && *byte < 127;
        if (!good) {
            say("SCF_INIT_ADDRESS (a.b.c.d:port, or /path), SCF_INIT_SECRET and SCF_RUNTIME_API are needed: this image"
                " is started by the sandbox's control plane");
            finish(EXIT_USAGE);
        }
    }
}

/* ADDRESS as a socket address; its length, or 0. */
static socklen_t parse(struct sockaddr_storage *into)
{
    struct sockaddr_un *local = (struct sockaddr_un *)into;
    struct sockaddr_in *remote = (struct sockaddr_in *)into;
    memset(into, 0, sizeof *into);
    if (address[0] == '/' && strlen(address) < sizeof local->sun_path) {
        local->sun_family = AF_UNIX;
        strcpy(local->sun_path, address);
        return sizeof *local;
    }
    char *colon = strrchr(address, ':'), *rest = NULL;
    if (colon == NULL)
        return 0;
    unsigned long port = strtoul(colon + 1, &rest, 10);
    char host[VALUE_BYTES];
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    remote->sin_family = AF_INET;
    remote->sin_port = htons((uint16_t)port);
    bool good = inet_pton(AF_INET, host, &remote->sin_addr) == 1 && *rest == '\0' && port > 0 && port < 65536;
    return good ? sizeof *remote : 0;
}

/* Waits for the socket; a signal from outside that asks for the end is heard meanwhile. False: too late. */
static bool ready(int fd, short events, int signals, int64_t until)
{
    for (;;) {
        int64_t left = until - now_ms();
        struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = signals, .events = POLLIN}};
        if (left <= 0 || poll(fds, 2, (int)left) < 0)
            return false;
        struct signalfd_siginfo info;
        if (fds[1].revents && read(signals, &info, sizeof info) == (ssize_t)sizeof info &&
            (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT))
            finish(128 + (int)info.ssi_signo);
        if (fds[0].revents)
            return true;
    }
}

static _Noreturn void unreachable(const char *why)
{
    say("cannot reach the control plane at %s: %s", address, why);
    finish(EXIT_GONE);
}

static void set(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof value); /* what a local socket does not have fails, harmlessly */
}

static int connected(int signals, int64_t until)
{
    struct sockaddr_storage to;
    socklen_t size = parse(&to);
    if (size == 0)
        unreachable("that is no address");
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        unreachable(strerror(errno));
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_S);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, CUT_MS);
    set(fd, SOL_SOCKET, SO_SNDBUF, SEND_BYTES);
    int error = connect(fd, (struct sockaddr *)&to, size) < 0 ? errno : 0;
    if (error == EINPROGRESS) {
        socklen_t length = sizeof error;
        if (!ready(fd, POLLOUT, signals, until))
            unreachable("no answer");
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    }
    if (error != 0)
        unreachable(strerror(error));
    return fd;
}

/* The head of the answer into ANSWER, byte by byte: frames may follow at once. */
static void read_head(int fd, char *answer, int signals, int64_t until)
{
    size_t size = 0;
    while (size < 4 || memcmp(answer + size - 4, "\r\n\r\n", 4) != 0) {
        ssize_t got = size < ANSWER_BYTES - 1 ? recv(fd, answer + size, 1, 0) : 0;
        if (got < 0 && errno == EAGAIN && ready(fd, POLLIN, signals, until))
            continue;
        if (got < 0)
            unreachable(errno == EAGAIN ? "it does not answer" : strerror(errno));
        if (got == 0)
            unreachable("it hung up");
        size++;
    }
    answer[size] = '\0';
}

/* Without printf, which leaves what it was given on the stack. */
static size_t write_request(char *request, bool place)
{
    char *end = stpcpy(request, place ? "GET /runtime/place" : "GET /runtime/instance");
    end = stpcpy(end, " HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: scf-init/1\r\nHost: ");
    end = stpcpy(end, name);
    end = stpcpy(end, "\r\nScf-Init-Secret: ");
    end = stpcpy(end, secret);
    return (size_t)(stpcpy(end, "\r\n\r\n") - request);
}

/* To the path in SCF_INIT_MEETING, with name and secret. */
static void hand_gauge(void)
{
    static char letter[2 * VALUE_BYTES];
    if (meeting[0] == '\0')
        return;
    stpcpy(stpcpy(stpcpy(letter, name), " "), secret);
    hand_gauge_to(meeting, letter);
    wipe(letter, sizeof letter);
}

int dial(bool place, int signals)
{
    static char request[4 * VALUE_BYTES], answer[ANSWER_BYTES];
    int64_t until = now_ms() + ANSWER_MS;
    check_values();
    if (!place)
        hand_gauge();
    int fd = connected(signals, until);
    size_t size = write_request(request, place);
    ssize_t sent = send(fd, request, size, MSG_NOSIGNAL); /* an empty socket takes a kilobyte at once */
    wipe(request, sizeof request);
    wipe(secret, sizeof secret);
    if (sent != (ssize_t)size)
        unreachable("the request could not be sent");
    read_head(fd, answer, signals, until);
    if (strncmp(answer, "HTTP/1.1 101 ", 13) != 0) {
        answer[strcspn(answer, "\r\n")] = '\0';
        for (char *byte = answer; *byte != '\0'; byte++)
            *byte = *byte >= ' ' && *byte < 127 ? *byte : '?';
        say("the control plane refused this %s: %.200s", place ? "place" : "instance", answer);
        finish(EXIT_REFUSED);
    }
    return fd;
}
