/*
 * Disks for the /tmp of instances: `init --disks DIRECTORY LABEL [=ID | +ID]...`, in a container of its own, once.
 *
 * A disk is a sparse file in DIRECTORY, with the ID as its name, and a loop device on it, which carries LABEL/ID as the
 * name of its file: so ours are told from others' for as long as the machine is up. Each run makes true what it is told:
 *
 *   +ID  make this disk, and say "ID /dev/loopN"
 *   =ID  keep this one
 *   any other disk of this label is let go: one that is mounted stays until it is not, then the kernel gives back
 *   device and space; one that is not mounted is gone at once
 *
 * What cannot be let go of is said, and is no failure: the next run tries again. So a run without IDs is the sweep,
 * what was interrupted is mended by the next run, and whoever mounted a disk need not come back for it.
 *
 * It is root without capabilities but MKNOD, and may use loop devices and nothing else. `init --disk-check` is run by
 * an instance's user on a mounted one.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "disks.h"
#include "init.h"

/* linux/loop.h, which not every C library comes with. */
enum {
    LOOP_SET_FD = 0x4C00,
    LOOP_CLR_FD = 0x4C01,
    LOOP_SET_STATUS64 = 0x4C04,
    LOOP_GET_STATUS64 = 0x4C05,
    LOOP_CONFIGURE = 0x4C0A,
    LOOP_CTL_GET_FREE = 0x4C82,
    DIRECT_IO = 16,
    NAME_BYTES = 64,
};

struct loop_info {
    uint64_t device, inode, rdevice, offset, size_limit;
    uint32_t number, encrypt_type, encrypt_key_size, flags;
    char name[NAME_BYTES], crypt_name[64], encrypt_key[32];
    uint64_t init[2];
};

struct loop_config {
    uint32_t fd, block_size;
    struct loop_info info;
    uint64_t reserved[8];
};

enum { CONTROL_MAJOR = 10, CONTROL_MINOR = 237, LOOP_MAJOR = 7, EXT4_MAGIC = 0xEF53, TRIES = 100 };

static const char *directory, *label;

static bool failed(const char *what, const char *name)
{
    say("%s %s: %s", what, name, strerror(errno));
    return false;
}

/* A container's /dev has no loop devices: their nodes are made as they are needed. */
static int open_device(const char *path, int how, mode_t kind, unsigned int major_number, unsigned int minor_number)
{
    int fd = open(path, how | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT || mknod(path, kind | 0600, makedev(major_number, minor_number)) < 0)
        return fd;
    return open(path, how | O_CLOEXEC);
}

/* The minor number is not always the one in the name: devices may have partitions. */
static int open_loop(const char *name, int how)
{
    char path[64];
    unsigned int major_number = LOOP_MAJOR, minor_number = 0;
    snprintf(path, sizeof path, "/sys/block/%.32s/dev", name);
    FILE *file = fopen(path, "re");
    bool known = file != NULL && fscanf(file, "%u:%u", &major_number, &minor_number) == 2;
    if (file != NULL)
        fclose(file);
    if (!known)
        return -1;
    snprintf(path, sizeof path, "/dev/%.32s", name);
    return open_device(path, how, S_IFBLK, major_number, minor_number);
}

/* ---------------------------------------------------------------- letting go */

static bool kept(const char *id, int count, char **wanted)
{
    for (int at = 0; at < count; at++)
        if (wanted[at][0] == '=' && strcmp(wanted[at] + 1, id) == 0)
            return true;
    return false;
}

/* Whether the device is of this label; its ID then. */
static bool is_ours(int device, char id[NAME_BYTES + 1])
{
    struct loop_info info = {0};
    size_t length = strlen(label);
    if (ioctl(device, LOOP_GET_STATUS64, &info) < 0 || strncmp(info.name, label, length) != 0 ||
        info.name[length] != '/')
        return false;
    snprintf(id, NAME_BYTES + 1, "%.*s", (int)(NAME_BYTES - length - 1), info.name + length + 1);
    return true;
}

static void let_go_of_devices(int count, char **wanted)
{
    DIR *devices = opendir("/sys/block");
    if (devices == NULL) {
        failed("cannot list", "/sys/block");
        return;
    }
    for (struct dirent *entry; (entry = readdir(devices)) != NULL;) {
        char path[64], id[NAME_BYTES + 1];
        snprintf(path, sizeof path, "/sys/block/%.32s/loop", entry->d_name);
        if (strncmp(entry->d_name, "loop", 4) != 0 || access(path, F_OK) < 0)
            continue; /* none, or nothing is on it */
        int device = open_loop(entry->d_name, O_RDONLY); /* others' may be read-only */
        if (device < 0) {
            failed("cannot open", entry->d_name);
            continue;
        }
        if (is_ours(device, id) && !kept(id, count, wanted) && ioctl(device, LOOP_CLR_FD, 0) < 0 && errno != ENXIO)
            failed("cannot let go of", entry->d_name);
        close(device);
    }
    closedir(devices);
}

static void let_go_of_files(int count, char **wanted)
{
    DIR *files = opendir(directory);
    if (files == NULL) {
        failed("cannot list", directory);
        return;
    }
    for (struct dirent *entry; (entry = readdir(files)) != NULL;)
        if (entry->d_name[0] != '.' && !kept(entry->d_name, count, wanted) &&
            unlinkat(dirfd(files), entry->d_name, 0) < 0)
            failed("cannot remove", entry->d_name);
    closedir(files);
}

/* ---------------------------------------------------------------- making */

/* In one step where the kernel (5.8) can: no device is ever without its label. */
static bool set_up(int device, int file, const char *id)
{
    struct loop_config config = {.fd = (uint32_t)file, .info = {.flags = DIRECT_IO}};
    snprintf(config.info.name, sizeof config.info.name, "%s/%s", label, id);
    if (ioctl(device, LOOP_CONFIGURE, &config) == 0)
        return true;
    if ((errno != EINVAL && errno != ENOTTY) || ioctl(device, LOOP_SET_FD, file) < 0)
        return false;
    config.info.flags = 0;
    if (ioctl(device, LOOP_SET_STATUS64, &config.info) == 0)
        return true;
    int error = errno;
    ioctl(device, LOOP_CLR_FD, 0);
    errno = error;
    return false;
}

/* Others look for a free device too, and may be first. */
static bool attach(int control, int file, const char *id)
{
    for (int tries = 0; tries < TRIES; tries++) {
        char name[32];
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0)
            return failed("no free loop device for", id);
        snprintf(name, sizeof name, "loop%d", number);
        int device = open_loop(name, O_RDWR);
        if (device < 0)
            return failed("cannot open", name);
        bool good = set_up(device, file, id);
        int error = errno;
        close(device);
        errno = error;
        if (good)
            return printf("%s /dev/%s\n", id, name) > 0;
        if (errno != EBUSY)
            break;
    }
    return failed("no loop device for", id);
}

static bool make_disk(int control, const char *id)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, id);
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return failed("cannot make", path);
    bool good = format_ext4(file) || failed("cannot write", path);
    good = good && attach(control, file, id);
    close(file);
    return good;
}

static bool make_disks(int count, char **wanted)
{
    bool any = false;
    for (int at = 0; at < count; at++)
        any = any || wanted[at][0] == '+';
    if (!any)
        return true;
    int control = open_device("/dev/loop-control", O_RDWR, S_IFCHR, CONTROL_MAJOR, CONTROL_MINOR);
    if (control < 0)
        return failed("cannot open", "/dev/loop-control");
    bool good = true;
    for (int at = 0; good && at < count; at++)
        if (wanted[at][0] == '+')
            good = make_disk(control, wanted[at] + 1);
    close(control);
    return good;
}

int keep_disks(int count, char **arguments)
{
    if (count < 2 || strlen(arguments[1]) > NAME_BYTES / 2) {
        say("usage: init --disks DIRECTORY LABEL [=ID | +ID]...");
        return EXIT_USAGE;
    }
    directory = arguments[0];
    label = arguments[1];
    let_go_of_devices(count - 2, arguments + 2);
    let_go_of_files(count - 2, arguments + 2);
    return make_disks(count - 2, arguments + 2) ? 0 : 1;
}

/* Whether /tmp here is such a disk, and can be written. */
int try_disk(void)
{
    struct statfs system;
    if (statfs("/tmp", &system) < 0 || system.f_type != EXT4_MAGIC) {
        say("/tmp is no disk");
        return 1;
    }
    int file = open("/tmp/check", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || write(file, "x", 1) != 1 || unlink("/tmp/check") < 0)
        return failed("cannot write", "/tmp"), 1;
    close(file);
    return 0;
}
