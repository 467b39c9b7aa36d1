/*
 * How much memory the function has: the greatest sampled sum of anonymous and shared memory, and the kills for want
 * of it. Page cache and files are not the function's: the kernel takes them back when it needs to. Nor are files in a
 * /tmp that lies in memory, which the platform has on a disk: their size is what that file system says is in use.
 *
 * Where the instance has a control group (a container), the kernel counts: memory.stat, of version 1 or 2. Version 1
 * may be some hundred pages behind, so a small figure is compared with the sum over the processes. Where there is
 * none (the process engine), that sum is all there is. --memory makes init do the kernel's work: there, and where the
 * kernel's limit has to hold the files of such a /tmp as well.
 */

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "init.h"

enum {
    FRESH_MS = 5,                /* a sample as young as this still stands: longer runs have their own */
    WATCH_MS = 500,              /* the least often, where init itself keeps a limit */
    EXACT_BYTES = 1024 * 1024,   /* above this, what the kernel is behind does not matter */
    MOST_PROCESSES = 2048,
    NEAR_MS = 5,                 /* the most often, near a limit that init keeps */
    GROWTH_BYTES = 2 << 20,      /* the most that a function grows by in 1 ms, as a guess */
    TMPFS_MAGIC = 0x01021994,
};

static int statistics = -1, kills = -1; /* files of the control group */
static bool version_1;
static uint64_t limit_bytes, peak;
static uint32_t killed, killed_by_us;
static uint32_t every_ms, step_ms; /* between samples; the first ones after go follow each other faster */
static int64_t last, next = INT64_MAX;

/* ---------------------------------------------------------------- reading */

static char text[8192];

static bool read_text(int fd)
{
    ssize_t size = fd >= 0 ? pread(fd, text, sizeof text - 1, 0) : -1;
    text[size > 0 ? size : 0] = '\0';
    return size > 0;
}

static bool read_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool good = read_text(fd);
    if (fd >= 0)
        close(fd);
    return good;
}

/* The number after KEY at the beginning of a line of the text; 0 where there is none. */
static uint64_t number_of(const char *key)
{
    size_t length = strlen(key);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0)
            return strtoull(line + length, NULL, 10);
    }
    return 0;
}

/* ---------------------------------------------------------------- the control group */

/* Takes the group in DIRECTORY if it has a limit: one without is not made for an instance alone. */
static bool take_group(const char *directory, bool is_version_1)
{
    char path[sizeof text + 64];
    snprintf(path, sizeof path, "%s/%s", directory, is_version_1 ? "memory.limit_in_bytes" : "memory.max");
    if (!read_file(path) || text[0] < '0' || text[0] > '9' || strtoull(text, NULL, 10) > UINT64_MAX >> 2)
        return false;
    snprintf(path, sizeof path, "%s/memory.stat", directory);
    statistics = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "%s/%s", directory, is_version_1 ? "memory.oom_control" : "memory.events");
    kills = open(path, O_RDONLY | O_CLOEXEC);
    version_1 = is_version_1;
    return statistics >= 0;
}

/* LINE of /proc/self/cgroup, "4:memory:/docker/…" or "0::/…". In a container the group itself is often the mount. */
static bool take_group_of(char *line)
{
    char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (path == NULL)
        return false;
    *path++ = '\0';
    controllers++;
    bool is_version_1 = strstr(controllers, "memory") != NULL;
    if (!is_version_1 && *controllers != '\0')
        return false;
    char directory[sizeof text];
    const char *mount = is_version_1 ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup";
    snprintf(directory, sizeof directory, "%s%s", mount, path);
    return take_group(directory, is_version_1) || take_group(mount, is_version_1);
}

void open_memory(bool own_group, uint64_t limit)
{
    static char groups[sizeof text];
    limit_bytes = limit;
    next = limit > 0 ? now_ms() : INT64_MAX;
    if (!own_group || !read_file("/proc/self/cgroup"))
        return;
    memcpy(groups, text, sizeof groups);
    for (char *line = strtok(groups, "\n"); line != NULL; line = strtok(NULL, "\n"))
        if (take_group_of(line))
            return;
}

/* In a /tmp that lies in memory: the group's shared memory holds it. */
static uint64_t files_bytes(void)
{
    struct statfs system;
    if (statfs("/tmp", &system) < 0 || system.f_type != TMPFS_MAGIC)
        return 0;
    return (uint64_t)(system.f_blocks - system.f_bfree) * (uint64_t)system.f_bsize;
}

static uint64_t group_bytes(void)
{
    if (!read_text(statistics))
        return 0;
    uint64_t anonymous = number_of(version_1 ? "total_rss " : "anon ");
    uint64_t shared = number_of(version_1 ? "total_shmem " : "shmem "), files = files_bytes();
    return anonymous + (shared > files ? shared - files : 0);
}

/* ---------------------------------------------------------------- the processes */

static size_t add_children(pid_t *found, size_t count, pid_t of)
{
    char path[288];
    snprintf(path, sizeof path, "/proc/%d/task", (int)of);
    DIR *threads = opendir(path);
    for (struct dirent *thread; threads != NULL && (thread = readdir(threads)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)of, thread->d_name);
        char *rest = text;
        if (thread->d_name[0] == '.' || !read_file(path))
            continue;
        for (long pid; count < MOST_PROCESSES && (pid = strtol(rest, &rest, 10)) > 0;)
            found[count++] = (pid_t)pid;
    }
    if (threads != NULL)
        closedir(threads);
    return count;
}

/*
 * Of everything below init. EXACT divides pages among those who share them, which takes the kernel longer. In a group,
 * shared pages are left out: files of /tmp may be among them.
 */
static uint64_t processes_bytes(bool exact)
{
    static pid_t found[MOST_PROCESSES];
    uint64_t kilobytes = 0;
    char path[64];
    size_t count = add_children(found, 0, getpid());
    for (size_t at = 0; at < count; at++)
        count = add_children(found, count, found[at]);
    for (size_t at = 0; at < count; at++) {
        snprintf(path, sizeof path, "/proc/%d/%s", (int)found[at], exact ? "smaps_rollup" : "status");
        if (!read_file(path))
            continue;
        kilobytes += number_of(exact ? "Pss_Anon:" : "RssAnon:");
        if (statistics < 0)
            kilobytes += number_of(exact ? "Pss_Shmem:" : "RssShmem:");
    }
    return kilobytes * 1024;
}

/* ---------------------------------------------------------------- sampling */

static uint64_t keep_limit(uint64_t used)
{
    if (limit_bytes == 0 || used <= limit_bytes)
        return used;
    if (statistics < 0)
        used = processes_bytes(true); /* a child shares most of its pages with its parent, and both were counted */
    if (used <= limit_bytes)
        return used;
    killed_by_us++;
    kill_below();
    kill(getpid(), SIGCHLD); /* the loop finds out what has become of the bootstrap */
    return limit_bytes;      /* a container's memory never shows above its limit either */
}

void sample_memory(bool now)
{
    if (read_text(kills))
        killed = (uint32_t)number_of("oom_kill ");
    int64_t time = now_ms();
    if (!now && time - last < FRESH_MS)
        return;
    last = time;
    uint64_t used = group_bytes();
    if (statistics < 0 || (used < EXACT_BYTES && peak < EXACT_BYTES)) {
        uint64_t sum = processes_bytes(false);
        used = sum > used ? sum : used;
    }
    used = keep_limit(used);
    if (used > peak)
        peak = used;
    if (every_ms == 0) {
        next = limit_bytes > 0 ? time + WATCH_MS : INT64_MAX;
        return;
    }
    step_ms = step_ms * 2 < every_ms ? step_ms * 2 : every_ms;
    next = time + step_ms;
    if (limit_bytes == 0 || statistics < 0)
        return;
    uint64_t room_ms = (limit_bytes - used) / GROWTH_BYTES;
    if (room_ms < step_ms)
        next = time + (int64_t)(room_ms > NEAR_MS ? room_ms : NEAR_MS);
}

/* The kernel's own high-water mark, which counts mapped files too: better than nothing. */
void suppose_memory(uint64_t bytes)
{
    if (peak == 0)
        peak = limit_bytes > 0 && bytes > limit_bytes ? limit_bytes : bytes;
}

void sample_every(uint32_t ms)
{
    every_ms = ms;
    step_ms = 1;
    next = ms > 0 ? now_ms() + 1 : limit_bytes > 0 ? now_ms() + WATCH_MS : INT64_MAX;
}

int64_t next_sample(void)
{
    return next;
}

uint64_t memory_peak(void)
{
    return peak;
}

uint32_t oom_kills(void)
{
    return killed + killed_by_us;
}
