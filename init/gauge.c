/*
 * The gauge: how much of the output is still on its way, for a control plane of the same machine to see by itself.
 *
 * It gets the read end of the output's pipe, which tells whether there is anything to be read (POLLIN), and a page with
 * two numbers of 8 bytes, in the machine's own order:
 *
 *   turn   odd while init reads from the pipe
 *   taken  bytes read so far
 *
 * TURN even and the same before and after, an empty pipe, and as many bytes in frames as TAKEN: then everything that
 * was written has arrived. So a border costs no message where nothing was written, as mostly.
 *
 * One datagram brings both descriptors, before the connection is made or the first frame is sent: who has that has the
 * gauge. One that cannot be brought is no error: the control plane asks for its borders then.
 */

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "init.h"

struct page {
    _Atomic uint64_t turn, taken;
};

static struct page unseen, *page = &unseen;

static int make_page(void)
{
    enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };
    int fd = memfd_create("scf-gauge", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (ftruncate(fd, sizeof *page) == 0 && fcntl(fd, F_ADD_SEALS, SEALS) == 0) {
        void *mapped = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (mapped != MAP_FAILED) {
            page = mapped;
            return fd;
        }
    }
    close(fd);
    return -1;
}

static void bring(int socket, struct sockaddr_un *to, const char *letter, int page_fd)
{
    const int descriptors[] = {bootstrap.output, page_fd};
    union {
        char bytes[CMSG_SPACE(sizeof descriptors)];
        struct cmsghdr aligned;
    } control;
    struct iovec text = {(char *)letter, strlen(letter)};
    struct msghdr message = {.msg_name = to, .msg_namelen = to ? sizeof *to : 0, .msg_iov = &text, .msg_iovlen = 1,
                             .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    memset(&control, 0, sizeof control);
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof descriptors);
    memcpy(CMSG_DATA(head), descriptors, sizeof descriptors);
    (void)!sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void bring_by(int socket, struct sockaddr_un *to, const char *letter)
{
    int fd = make_page();
    if (fd >= 0) {
        bring(socket, to, letter, fd);
        close(fd);
    }
    close(socket);
}

void hand_gauge_to(const char *path, const char *letter)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path)
        return;
    strcpy(to.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        bring_by(fd, &to, letter);
}

void hand_gauge_over(int socket)
{
    bring_by(socket, NULL, "gauge");
}

void begin_taking(void)
{
    page->turn++;
}

void end_taking(size_t bytes)
{
    page->taken += bytes;
    page->turn++;
}
