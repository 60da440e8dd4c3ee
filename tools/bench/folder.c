#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024 };
#define FRONT "hawser-bench."
#define LOCK "running"

static const char *parent_of_all(void) {
    const char *parent = getenv("TMPDIR");
    return parent && *parent ? parent : "/tmp";
}

// Redis keeps its append-only files in a folder of that.
static void tree_remove(const char *path) {
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        char below[PATH_BYTES];
        snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
        if (unlink(below) != 0)
            tree_remove(below);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

// The descriptor that holds the lock, which ends with its last process; -1: another run has it, or
// there is none.
static int lock_take(const char *path, int flags) {
    char name[PATH_BYTES];
    snprintf(name, sizeof(name), "%s/" LOCK, path);
    int fd = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool is_own_folder(const char *path) {
    struct stat s;
    return lstat(path, &s) == 0 && S_ISDIR(s.st_mode) && s.st_uid == geteuid();
}

static void clear_up(const char *parent) {
    DIR *dir = opendir(parent);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[PATH_BYTES];
        snprintf(path, sizeof(path), "%s/%s", parent, e->d_name);
        if (strncmp(e->d_name, FRONT, strlen(FRONT)) != 0 || !is_own_folder(path))
            continue;
        int lock = lock_take(path, 0);
        if (lock < 0)
            continue;
        tree_remove(path);
        close(lock);
    }
    if (dir)
        closedir(dir);
}

int folder_make(struct folder *f, struct buf *error) {
    clear_up(parent_of_all());
    snprintf(f->path, sizeof(f->path), "%s/" FRONT "XXXXXX", parent_of_all());
    // Between the two another run that begins may take the lock, and the folder away.
    f->lock = mkdtemp(f->path) ? lock_take(f->path, O_CREAT) : -1;
    if (f->lock >= 0 && is_own_folder(f->path))
        return 0;
    buf_printf(error, "%s: %s", f->path, strerror(errno));
    if (f->lock >= 0)
        close(f->lock);
    f->path[0] = '\0';
    return -1;
}

void folder_remove(struct folder *f) {
    if (!f->path[0])
        return;
    tree_remove(f->path);
    close(f->lock);
    f->path[0] = '\0';
}
