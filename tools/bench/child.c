#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { END_STEP_US = 5000, END_STEPS = 2000 }; // 10 s

// Who was forked while its parent died would never hear of it.
static void die_with(pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
}

static void signals_reset(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t child_fork(struct child *ret_child, const char *name, const cpu_set_t *cores) {
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        return -errno;
    if (pid > 0) {
        ret_child->pid = pid;
        snprintf(ret_child->name, sizeof(ret_child->name), "%s", name);
        return pid;
    }
    die_with(parent);
    signals_reset();
    if (cores)
        (void)sched_setaffinity(0, sizeof(*cores), cores); // slower, and no worse
    return 0;
}

static void become(const struct child_program *p) {
    int log = open(p->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
        _exit(127);
    for (const char *const *e = p->environment; *e; e++)
        putenv((char *)(uintptr_t)*e);
    execvp(p->argv[0], (char *const *)(uintptr_t)p->argv);
    fprintf(stderr, "%s: %s\n", p->argv[0], strerror(errno));
    _exit(127);
}

int child_start(const struct child_program *p, struct child *ret_child) {
    pid_t pid = child_fork(ret_child, p->name, p->cores);
    if (pid == 0)
        become(p);
    return pid < 0 ? (int)pid : 0;
}

bool child_has_ended(struct child *c) {
    if (c->pid != 0 && waitpid(c->pid, NULL, WNOHANG) == c->pid)
        c->pid = 0;
    return c->pid == 0;
}

void child_kill(struct child *c) {
    if (c->pid == 0)
        return;
    kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    c->pid = 0;
}

void child_end(struct child *c) {
    if (c->pid != 0)
        kill(c->pid, SIGTERM);
    for (int i = 0; i < END_STEPS && !child_has_ended(c); i++)
        usleep(END_STEP_US);
    child_kill(c);
}

// --- cores

void cores_plan(struct cores *c, unsigned rooms, bool is_pinned) {
    cpu_set_t all;
    size_t count = 0, rooms_have, dealt = 0;
    *c = (struct cores){0};
    if (!is_pinned || sched_getaffinity(0, sizeof(all), &all) != 0)
        return;
    count = (size_t)CPU_COUNT(&all);
    rooms_have = rooms < count / 2 ? rooms : count / 2; // at most half of them
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &all))
            continue;
        CPU_SET(i, dealt < rooms_have ? &c->rooms : &c->rest);
        if (dealt++ < rooms_have)
            c->room[c->room_count++] = i;
    }
}

const cpu_set_t *cores_of_room(struct cores *c, unsigned room) {
    if (c->room_count == 0)
        return NULL;
    CPU_ZERO(&c->one);
    CPU_SET(c->room[room % c->room_count], &c->one);
    return &c->one;
}

const cpu_set_t *cores_of_rest(const struct cores *c) {
    return c->room_count > 0 ? &c->rest : NULL;
}

const cpu_set_t *cores_of_clients(const struct cores *c) {
    return c->room_count > 0 && c->is_room_idle ? &c->rooms : cores_of_rest(c);
}

const cpu_set_t *cores_of_role(const struct cores *c, const char *role) {
    return strcmp(role, "center") == 0 ? cores_of_clients(c) : cores_of_rest(c);
}
