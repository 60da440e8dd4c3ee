#include "probe.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { TEXT_BYTES = 4096, PATH_BYTES = 320 };

static bool file_read(const char *path, char text[TEXT_BYTES]) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, TEXT_BYTES - 1);
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

static uint64_t number_after(const char *text, const char *name) {
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

// utime and stime, the 14th and 15th field. The second one, a name in parentheses, may hold spaces.
static uint64_t cpu_of(const char *stat) {
    const char *at = strrchr(stat, ')');
    for (int field = 2; at && field < 14; field++)
        at = strchr(at + 1, ' ');
    if (!at)
        return 0;
    char *end;
    uint64_t ticks = strtoull(at, &end, 10);
    ticks += strtoull(end, NULL, 10);
    return ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

void probe_process(pid_t pid, struct usage *ret_usage) {
    char path[64], text[TEXT_BYTES];
    *ret_usage = (struct usage){0};
    if (pid <= 0)
        return;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (file_read(path, text))
        ret_usage->cpu_us = cpu_of(text);
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    if (file_read(path, text))
        ret_usage->rss_bytes = number_after(text, "\nRss:") * 1024;
}

void probe_kernel(struct kernel_usage *ret_usage) {
    char text[TEXT_BYTES];
    *ret_usage = (struct kernel_usage){0};
    if (file_read("/proc/net/sockstat", text)) {
        const char *tcp = strstr(text, "TCP:");
        ret_usage->tcp_sockets = number_after(tcp ? tcp : "", "inuse ");
        ret_usage->tcp_bytes =
            number_after(tcp ? tcp : "", "mem ") * (uint64_t)sysconf(_SC_PAGESIZE);
    }
    if (file_read("/proc/meminfo", text))
        ret_usage->slab_bytes = number_after(text, "\nSlab:") * 1024;
}

// --- by port

static unsigned long listener_inode(uint16_t port) {
    char line[512], wanted[16];
    unsigned long inode = 0;
    snprintf(wanted, sizeof(wanted), ":%04X ", port);
    FILE *table = fopen("/proc/net/tcp", "re");
    while (table && inode == 0 && fgets(line, sizeof(line), table)) {
        // sl local remote state queues timer retransmits uid timeout inode; state 0A listens
        const char *local = strchr(line, ':');
        if (!local || strncmp(local + 2 + 8, wanted, 6) != 0 || !strstr(line, " 0A "))
            continue;
        if (sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %lu", &inode) != 1)
            inode = 0;
    }
    if (table)
        fclose(table);
    return inode;
}

pid_t probe_unix_listener(const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct ucred who = {0};
    socklen_t len = sizeof(who);
    snprintf(to.sun_path, sizeof(to.sun_path), "%.100s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0)
        who.pid = 0;
    if (fd >= 0)
        close(fd);
    return who.pid;
}

static bool process_has(const char *pid, const char *socket) {
    char path[PATH_BYTES], target[64];
    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    DIR *dir = opendir(path);
    bool has = false;
    for (struct dirent *e; dir && !has && (e = readdir(dir));) {
        char link[PATH_BYTES * 2];
        snprintf(link, sizeof(link), "%s/%s", path, e->d_name);
        ssize_t len = readlink(link, target, sizeof(target) - 1);
        target[len > 0 ? len : 0] = '\0';
        has = strcmp(target, socket) == 0;
    }
    if (dir)
        closedir(dir);
    return has;
}

pid_t probe_listener(uint16_t port) {
    char socket[64];
    unsigned long inode = listener_inode(port);
    pid_t found = 0;
    if (inode == 0)
        return 0;
    snprintf(socket, sizeof(socket), "socket:[%lu]", inode);
    DIR *dir = opendir("/proc");
    for (struct dirent *e; dir && found == 0 && (e = readdir(dir));)
        if (isdigit((unsigned char)e->d_name[0]) && process_has(e->d_name, socket))
            found = (pid_t)strtol(e->d_name, NULL, 10);
    if (dir)
        closedir(dir);
    return found;
}
