// Processes that the bench starts: they end with it, however it ends. The kernel kills them when
// their parent is gone, and child_end waits for each.
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

#include "err.h"

struct child {
    pid_t pid; // 0: none
    char name[32];
};

// Forks. In the child it returns 0, with signals as at the start of a program, and on `cores`
// (NULL: where it likes); in the parent the pid. Negative errno when there can be none.
pid_t child_fork(struct child *ret_child, const char *name, const cpu_set_t *cores) HW_MUST_CHECK;

// An executable in a process of its own: its output goes to `log`, `environment` is added to ours.
struct child_program {
    const char *name;
    const char *const *argv;        // argv[0] is its path, or found in PATH; ends with NULL
    const char *const *environment; // "NAME=value"; ends with NULL
    const char *log;
    const cpu_set_t *cores;
};
int child_start(const struct child_program *p, struct child *ret_child) HW_MUST_CHECK;
bool child_has_ended(struct child *c); // c->pid is 0 then
void child_kill(struct child *c);      // at once; it has ended when this returns
// Asks it to end, and after a while makes it. Harmless when it has ended.
void child_end(struct child *c);

// Who runs where: rooms (and the floor's sender, and peers) on some cores, the rest on the others.
struct cores {
    cpu_set_t rooms, rest, one;
    size_t room[CPU_SETSIZE]; // cores that rooms are dealt over
    unsigned room_count;      // of these; 0: nothing is pinned
    bool is_room_idle; // it leaves time on its cores: clients, conductor and center stand there too
};
void cores_plan(struct cores *c, unsigned rooms, bool is_pinned);
// NULL when nothing is pinned. Valid until the next call.
const cpu_set_t *cores_of_room(struct cores *c, unsigned room);
const cpu_set_t *cores_of_rest(const struct cores *c);
const cpu_set_t *cores_of_clients(const struct cores *c); // and of the conductor, which pushes
const cpu_set_t *cores_of_role(const struct cores *c, const char *role); // but for rooms

#endif
