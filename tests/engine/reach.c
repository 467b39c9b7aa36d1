/* What one instance can reach of another: a listener, and a connector with short time-outs.
 *
 *   reach listen PORT                        prints its MAC and IPv4 address, then a line for whatever comes
 *   reach hold PORT                          the same, and keeps what it accepts open
 *   reach try PORT SECONDS IPV4 [LINK-LOCAL] prints "KIND tried N reached N" for each kind
 *   reach raw                                prints what a socket below TCP and UDP gives
 *
 * A refused connection counts as reached: the answer came from there. Built static: it runs in any image.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { AT_ONCE = 8, PATIENCE_MS = 20, KINDS = 4 };

static const char *const kinds[KINDS] = {"tcp", "udp", "tcp6", "udp6"};

struct target {
	struct sockaddr_storage address;
	socklen_t size;
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int kind_family(int kind) { return kind < 2 ? AF_INET : AF_INET6; }
static int kind_type(int kind) { return kind % 2 ? SOCK_DGRAM : SOCK_STREAM; }

static struct target target_of(int family, const char *host, int port)
{
	struct target made = {.size = 0};
	if (family == AF_INET) {
		struct sockaddr_in *four = (struct sockaddr_in *)&made.address;
		*four = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
		inet_pton(AF_INET, host, &four->sin_addr);
		made.size = sizeof *four;
	} else {
		struct sockaddr_in6 *six = (struct sockaddr_in6 *)&made.address;
		*six = (struct sockaddr_in6){.sin6_family = AF_INET6,
					     .sin6_port = htons((unsigned short)port),
					     .sin6_scope_id = if_nametoindex("eth0")};
		inet_pton(AF_INET6, host, &six->sin6_addr);
		made.size = sizeof *six;
	}
	return made;
}

static void say_who(void)
{
	struct ifreq request = {.ifr_name = "eth0"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	unsigned char mac[6] = {0};
	char text[INET_ADDRSTRLEN] = "";
	if (ioctl(fd, SIOCGIFHWADDR, &request) == 0)
		memcpy(mac, request.ifr_hwaddr.sa_data, sizeof mac);
	if (ioctl(fd, SIOCGIFADDR, &request) == 0)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&request.ifr_addr)->sin_addr, text, sizeof text);
	close(fd);
	printf("here %02x:%02x:%02x:%02x:%02x:%02x %s\n", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], text);
}

static int listening(int kind, int port)
{
	int on = 1, fd = socket(kind_family(kind), kind_type(kind), 0);
	struct target any = target_of(kind_family(kind), kind < 2 ? "0.0.0.0" : "::", port);
	if (fd < 0)
		return -1;
	if (kind >= 2) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
		((struct sockaddr_in6 *)&any.address)->sin6_scope_id = 0;
	}
	if (bind(fd, (struct sockaddr *)&any.address, any.size) < 0 ||
	    (kind_type(kind) == SOCK_STREAM && listen(fd, 128) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int listen_on(int port, int hold)
{
	struct pollfd fds[KINDS];
	char byte;
	for (int kind = 0; kind < KINDS; kind++)
		fds[kind] = (struct pollfd){.fd = listening(kind, port), .events = POLLIN};
	if (fds[0].fd < 0)
		perror("bind");
	say_who();
	fflush(stdout);
	while (poll(fds, KINDS, -1) > 0)
		for (int kind = 0; kind < KINDS; kind++) {
			if (!fds[kind].revents)
				continue;
			if (kind_type(kind) == SOCK_STREAM)
				hold ? (void)accept(fds[kind].fd, NULL, NULL) : (void)close(accept(fds[kind].fd, NULL, NULL));
			else if (recv(fds[kind].fd, &byte, 1, 0) < 0)
				continue;
			printf("came %s\n", kinds[kind]);
			fflush(stdout);
		}
	return 1;
}

/* Several connections at once, each given up after a moment. Returns how many were answered. */
static int connect_some(int family, const struct target *to)
{
	struct pollfd fds[AT_ONCE];
	double until = now() + PATIENCE_MS / 1e3;
	int open = AT_ONCE, answered = 0;
	for (int i = 0; i < AT_ONCE; i++) {
		fds[i] = (struct pollfd){.fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0), .events = POLLOUT};
		if (connect(fds[i].fd, (const struct sockaddr *)&to->address, to->size) == 0 || errno == EINPROGRESS)
			continue;
		answered += errno == ECONNREFUSED;
		close(fds[i].fd);
		fds[i].fd = -1;
		open--;
	}
	if (!open)
		usleep(PATIENCE_MS * 1000 / 4);
	while (open && now() < until && poll(fds, AT_ONCE, PATIENCE_MS) > 0)
		for (int i = 0; i < AT_ONCE; i++) {
			int error = 0;
			socklen_t size = sizeof error;
			if (fds[i].fd < 0 || !fds[i].revents)
				continue;
			getsockopt(fds[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
			answered += error == 0 || error == ECONNREFUSED;
			close(fds[i].fd);
			fds[i].fd = -1;
			open--;
		}
	for (int i = 0; i < AT_ONCE; i++)
		if (fds[i].fd >= 0)
			close(fds[i].fd);
	return answered;
}

/* Datagrams; the listener says whether they came. */
static void send_some(int family, const struct target *to)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	for (int i = 0; i < AT_ONCE; i++)
		(void)sendto(fd, "x", 1, 0, (const struct sockaddr *)&to->address, to->size);
	close(fd);
}

static int try_for(int port, double seconds, const char *four, const char *six)
{
	struct target to[KINDS];
	int tried[KINDS] = {0}, reached[KINDS] = {0}, count = six ? KINDS : 2;
	double until = now() + seconds;
	for (int kind = 0; kind < count; kind++)
		to[kind] = target_of(kind_family(kind), kind < 2 ? four : six, port);
	while (now() < until)
		for (int kind = 0; kind < count; kind++) {
			if (kind_type(kind) == SOCK_STREAM)
				reached[kind] += connect_some(kind_family(kind), &to[kind]);
			else
				send_some(kind_family(kind), &to[kind]);
			tried[kind] += AT_ONCE;
		}
	for (int kind = 0; kind < count; kind++)
		printf("%s tried %d reached %d\n", kinds[kind], tried[kind], reached[kind]);
	return 0;
}

static int raw(void)
{
	const int wanted[3][3] = {
	    {AF_INET, SOCK_RAW, IPPROTO_TCP}, {AF_PACKET, SOCK_RAW, 0x0300}, {AF_PACKET, SOCK_DGRAM, 0x0300}};
	for (int i = 0; i < 3; i++) {
		int fd = socket(wanted[i][0], wanted[i][1], wanted[i][2]);
		printf("%s\n", fd < 0 ? strerror(errno) : "open");
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && (!strcmp(argv[1], "listen") || !strcmp(argv[1], "hold")))
		return listen_on(atoi(argv[2]), !strcmp(argv[1], "hold"));
	if ((argc == 5 || argc == 6) && !strcmp(argv[1], "try"))
		return try_for(atoi(argv[2]), atof(argv[3]), argv[4], argv[5]);
	if (argc == 2 && !strcmp(argv[1], "raw"))
		return raw();
	fprintf(stderr, "see the head of reach.c\n");
	return 2;
}
