/*
 * The bootstrap and whatever comes of it: started without a shell, reaped, ended.
 *
 * It gets: the working directory and the environment that init got, less init's own variables; a session of its own;
 * stdin from /dev/null, stdout and stderr on one pipe; no blocked or ignored signals; no other descriptors.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

struct bootstrap bootstrap = {.output = -1, .report = -1};

static const struct options *wishes;
static int null = -1, output_end = -1, report_end = -1;

struct report {
    int error, stage;
};

static void make_pipe(int *read_end, int *write_end)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        say("cannot make a pipe: %s", strerror(errno));
        finish(EXIT_USAGE);
    }
    *read_end = ends[0];
    *write_end = ends[1];
    fcntl(*read_end, F_SETFL, O_NONBLOCK); /* the function's end stays as programs expect it */
}

void prepare_bootstrap(const struct options *options)
{
    wishes = options;
    if (options->fd >= 0 && fcntl(options->fd, F_SETFD, FD_CLOEXEC) < 0) {
        say("--fd %d is no descriptor", options->fd);
        finish(EXIT_USAGE);
    }
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0) {
        say("cannot open /dev/null: %s", strerror(errno));
        finish(EXIT_USAGE);
    }
    make_pipe(&bootstrap.output, &output_end);
    make_pipe(&bootstrap.report, &report_end);
}

/* Short of memory, the kernel shall take the function, not init. Its own file is root's while it is not dumpable. */
static void be_first_to_go(void)
{
    static const char score[] = "300";
    prctl(PR_SET_DUMPABLE, 1);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, score, sizeof score - 1) < 0)
        return; /* already higher: not ours to say */
}

static void limit(int resource, rlim_t value)
{
    struct rlimit now;
    if (getrlimit(resource, &now) == 0 && now.rlim_max < value)
        value = now.rlim_max;
    setrlimit(resource, &(struct rlimit){value, value});
}

static _Noreturn void become_bootstrap(char **environment, bool below_an_engine)
{
    static char name[] = "./bootstrap";
    struct report failed = {0, STAGE_SETUP};
    sigset_t none;
    if (setsid() < 0 || dup2(null, 0) < 0 || dup2(output_end, 1) < 0 || dup2(output_end, 2) < 0)
        failed.error = errno;
    for (int number = 1; number <= SIGRTMAX; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (wishes->open_files > 0) {
        limit(RLIMIT_NOFILE, wishes->open_files);
        limit(RLIMIT_CORE, 0);
    }
    be_first_to_go();
    if (below_an_engine)
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* if init is killed: PID 1 would take it along anyway */
    if (failed.error == 0) {
        execve(name, (char *[]){name, NULL}, environment);
        failed = (struct report){errno, STAGE_EXEC};
    }
    if (write(report_end, &failed, sizeof failed) < 0)
        _exit(125);
    _exit(failed.error == ENOENT ? 127 : 126); /* as a shell would */
}

int fork_bootstrap(char **environment)
{
    bool below_an_engine = getpid() != 1;
    pid_t pid = fork();
    if (pid == 0)
        become_bootstrap(environment, below_an_engine);
    int error = pid < 0 ? errno : 0;
    if (pid > 0)
        bootstrap.pid = pid;
    close(output_end); /* else the pipe would never end */
    close(report_end);
    return error;
}

bool read_report(int *error, int *stage)
{
    struct report report = {0, 0};
    ssize_t got = bootstrap.report >= 0 ? read(bootstrap.report, &report, sizeof report) : -1;
    if (got < 0)
        return false;
    bootstrap.started = got == 0;
    *error = report.error;
    *stage = report.stage;
    close(bootstrap.report);
    bootstrap.report = -1;
    return true;
}

static void note(pid_t pid, int status, const struct rusage *usage)
{
    if (pid != bootstrap.pid)
        return;
    suppose_memory((uint64_t)usage->ru_maxrss * 1024);
    bootstrap.pid = 0;
    bootstrap.ended = true;
    bootstrap.status = status;
}

void reap(void)
{
    int status;
    struct rusage usage;
    for (pid_t pid; (pid = wait4(-1, &status, WNOHANG, &usage)) > 0;)
        note(pid, status, &usage);
}

/* The children of a killed one become init's: again, until there are none. No number of theirs can be another's yet. */
void kill_below(void)
{
    char path[64], line[4096];
    struct rusage usage;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (;;) {
        int fd = open(path, O_RDONLY | O_CLOEXEC), status;
        ssize_t size = fd >= 0 ? read(fd, line, sizeof line - 1) : 0;
        close(fd);
        line[size > 0 ? size : 0] = '\0';
        char *rest = line;
        for (long pid; (pid = strtol(rest, &rest, 10)) > 0;)
            if (*rest == ' ') /* else cut off: next time */
                kill((pid_t)pid, SIGKILL);
        if (bootstrap.pid > 0)
            kill(bootstrap.pid, SIGKILL);
        pid_t pid = wait4(-1, &status, 0, &usage);
        if (pid < 0)
            return;
        note(pid, status, &usage);
    }
}
