/* What the parts of the instance's init share. The protocol and the rules are at the top of init.c. */

#ifndef SCF_INIT_H
#define SCF_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Exit codes of init's own. Any other is the bootstrap's: its code, or 128 + the signal that killed it. */
enum { EXIT_REFUSED = 111, EXIT_USAGE = 112, EXIT_GONE = 113 };

enum { STAGE_FORK = 1, STAGE_SETUP = 2, STAGE_EXEC = 3 };

enum {
    HEAD_BYTES = 4,           /* of a frame: 1 byte type, 3 bytes length of the body */
    COMMAND_BYTES = 8,        /* of every frame to init */
    CHUNK_BYTES = 32 * 1024,  /* read from the pipe at once, and the largest body of a frame */
    QUEUE_BYTES = 128 * 1024, /* frames that the control plane has not taken yet */
    COPY_BYTES = 128 * 1024,  /* output that the engine's log has not taken yet */
    CUT_MS = 4000,            /* how long sent bytes may stay unacknowledged */
};

/* init.c */
struct options {
    bool place;            /* hold a network namespace, never run anything */
    int fd;                /* an inherited socket that speaks frames at once; -1: dial */
    int gauge;             /* an inherited socket that takes the gauge; -1: nobody does */
    uint64_t memory_limit; /* bytes; 0: the kernel sees to it */
    uint32_t open_files;   /* RLIMIT_NOFILE of the bootstrap; 0: as it is */
};
int64_t now_ms(void);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void finish(int code);

/* loop.c */
_Noreturn void run(const struct options *options, char **environment, int control, int signals);

/* dial.c */
void take_environment(char **environment); /* remembers what is init's own, and wipes it */
int dial(bool place, int signals);         /* a connection that is ready for frames, or finish() */

/* bootstrap.c */
struct bootstrap {
    pid_t pid;  /* 0: not started, or reaped */
    int output; /* read ends of its pipes; -1: closed */
    int report;
    bool started, ended;
    int status; /* as wait() gives it, once it has ended */
};
extern struct bootstrap bootstrap;
void prepare_bootstrap(const struct options *options); /* opens everything it needs; finish() where it cannot */
int fork_bootstrap(char **environment);                /* 0, or an errno */
bool read_report(int *error, int *stage);              /* true once it is known how exec went; error 0: well */
void reap(void);
void kill_below(void); /* everything below init, until nothing is left */

/* gauge.c */
void hand_gauge_to(const char *path, const char *letter); /* to a socket's path, with a letter that says whose it is */
void hand_gauge_over(int socket);                         /* to a connected one, which is closed */
void begin_taking(void);                                  /* from the pipe of the output */
void end_taking(size_t bytes);

/* output.c */
void queue_frame(char type, const void *body, size_t size);
bool queue_has_room(size_t body);
bool queue_is_empty(void);
int send_queue(int fd);                /* 0: nothing left, 1: the rest must wait, -1: the connection is gone */
void take_output(char *data, size_t size); /* passes on what the platform keeps, counts the rest */
void end_request(void);                /* tells what was discarded; the limits begin anew */

/* copy.c */
void open_copy(bool wanted);
void copy_output(const char *data, size_t size, uint64_t discarded_before);
bool copy_has_room(bool for_border); /* false: let the function wait for the engine's log */
int64_t copy_deadline(void);         /* when waiting for the engine's log ends, ms; INT64_MAX: never */
int write_copy(void);                /* the descriptor to wait for, or -1 */

/* memory.c */
void open_memory(bool own_group, uint64_t limit);
void sample_memory(bool now); /* now: even if the last sample is young */
void suppose_memory(uint64_t bytes); /* of a bootstrap that ended before it was sampled */
void sample_every(uint32_t ms);
int64_t next_sample(void); /* ms; INT64_MAX: never */
uint64_t memory_peak(void);
uint32_t oom_kills(void);

#endif
