/* A Custom Runtime bootstrap that does nothing but the protocol: one keep-alive connection, the
 * event pushed back as its own result. Build: cc -O2 -static -o bootstrap bootstrap.c
 *
 * With RUNTIME=lambda it speaks AWS Lambda's runtime API instead, so that both can be measured
 * with the same program.
 *
 * An event that begins with {"do": (no blank) is an order: {"do":"delay","ms":250} answers that
 * much later, {"do":"hang"} never does, {"do":"die"} ends the process, {"do":"line"} writes a line
 * of log first, {"do":"none"} goes the same way without one, and {"do":"trace"} is answered with
 * this program's own times, seconds since the epoch: when it began, when it was about to report
 * ready, when it had the event, when it was about to push the result. */
#define _GNU_SOURCE
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (8 * 1024 * 1024)

#define LINE "a line of the function's own log\n"

static char in[BUFFER];
static char head[4096];
static int fd;

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* The address of a name, from a number or from /etc/hosts: a static program cannot use NSS. */
static in_addr_t address_of(const char *host) {
    in_addr_t address = inet_addr(host);
    if (address != INADDR_NONE)
        return address;
    FILE *hosts = fopen("/etc/hosts", "r");
    char line[512];
    while (hosts && fgets(line, sizeof line, hosts)) {
        char *save = NULL, *number = strtok_r(line, " \t\n", &save), *name;
        while (number && (name = strtok_r(NULL, " \t\n", &save)))
            if (!strcasecmp(name, host)) {
                address = inet_addr(number);
                fclose(hosts);
                return address;
            }
    }
    fprintf(stderr, "no address for %s\n", host);
    exit(1);
}

static void send_all(const char *data, size_t size) {
    while (size) {
        ssize_t sent = write(fd, data, size);
        if (sent <= 0)
            die("write");
        data += sent;
        size -= (size_t)sent;
    }
}

/* Reads one response into `in`; sets *body and *length. */
static void receive(char **body, size_t *length) {
    size_t got = 0;
    char *end = NULL;
    while (!end) {
        ssize_t n = read(fd, in + got, BUFFER - 1 - got);
        if (n <= 0)
            die("read");
        got += (size_t)n;
        in[got] = 0;
        end = strstr(in, "\r\n\r\n");
    }
    char *field = strcasestr(in, "\r\ncontent-length:");
    *length = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
    *body = end + 4;
    while (got < (size_t)(*body - in) + *length) {
        ssize_t n = read(fd, in + got, BUFFER - 1 - got);
        if (n <= 0)
            die("read");
        got += (size_t)n;
    }
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Carries out an order. Where it has a result of its own, *body and *length become that. */
static void obey(char **body, size_t *length, double began, double ready) {
    static char answer[256];
    double got = now();
    const char *order = *body + 7; /* behind {"do":" */
    if (!strncmp(order, "die\"", 4))
        _exit(3);
    if (!strncmp(order, "hang\"", 5))
        for (;;)
            pause();
    if (!strncmp(order, "delay\",\"ms\":", 12))
        usleep((useconds_t)strtoul(order + 12, NULL, 10) * 1000);
    if (!strncmp(order, "line\"", 5) && write(STDOUT_FILENO, LINE, sizeof LINE - 1) < 0)
        die("write");
    if (!strncmp(order, "trace\"", 6)) {
        *length = (size_t)snprintf(answer, sizeof answer,
                                   "{\"began\":%.6f,\"ready\":%.6f,\"got\":%.6f,\"pushed\":%.6f}",
                                   began, ready, got, now());
        *body = answer;
    }
}

int main(void) {
    double began = now(), ready = began;
    int lambda = getenv("RUNTIME") && !strcmp(getenv("RUNTIME"), "lambda");
    char host[256], prefix[64] = "/runtime";
    int port = 9001, one = 1;
    if (lambda) {
        const char *api = getenv("AWS_LAMBDA_RUNTIME_API");
        snprintf(host, sizeof host, "%s", api ? api : "127.0.0.1:9001");
        char *colon = strchr(host, ':');
        if (colon) {
            port = atoi(colon + 1);
            *colon = 0;
        }
        strcpy(prefix, "/2018-06-01/runtime");
    } else {
        snprintf(host, sizeof host, "%s", getenv("SCF_RUNTIME_API"));
        port = atoi(getenv("SCF_RUNTIME_API_PORT"));
    }
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    where.sin_addr.s_addr = address_of(host);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&where, sizeof where))
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);

    char *body;
    size_t length;
    int size;
    if (!lambda) {
        ready = now();
        size = snprintf(head, sizeof head,
                        "POST %s/init/ready HTTP/1.1\r\nHost: %s:%d\r\nContent-Length: 1\r\n\r\n ",
                        prefix, host, port);
        send_all(head, (size_t)size);
        receive(&body, &length);
    }
    for (;;) {
        size = snprintf(head, sizeof head, "GET %s/invocation/next HTTP/1.1\r\nHost: %s:%d\r\n\r\n",
                        prefix, host, port);
        send_all(head, (size_t)size);
        receive(&body, &length);
        if (length > 7 && !memcmp(body, "{\"do\":\"", 7))
            obey(&body, &length, began, ready);
        char id[128] = "";
        if (lambda) {
            char *field = strcasestr(in, "Lambda-Runtime-Aws-Request-Id:");
            if (field)
                sscanf(field + 30, " %100[^\r\n]/", id);
            strcat(id, "/");
        }
        size = snprintf(head, sizeof head,
                        "POST %s/invocation/%sresponse HTTP/1.1\r\nHost: %s:%d\r\n"
                        "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                        prefix, id, host, port, length);
        if (length < sizeof head - (size_t)size) {
            memcpy(head + size, body, length);
            send_all(head, (size_t)size + length);
        } else {
            send_all(head, (size_t)size);
            send_all(body, length);
        }
        receive(&body, &length);
    }
}
