#include "cluster_own.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

#include "bytes.h"
#include "crypto.h"
#include "probe.h"
#include "redis_url.h"

enum { UP_STEP_US = 10000, UP_STEPS = 3000, LOG_TAIL = 2000, PATH_BYTES = 1024 };

// --- files of its folder

static void path_in(const struct own_cluster *c, const char *name, const char *suffix,
                    char out[PATH_BYTES]) {
    snprintf(out, PATH_BYTES, "%s/%s%s", c->folder.path, name, suffix);
}

void own_cluster_log_tail(const struct own_cluster *c, const char *name, struct buf *out) {
    char path[PATH_BYTES], text[LOG_TAIL];
    path_in(c, name, ".log", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    off_t end = lseek(fd, 0, SEEK_END);
    (void)lseek(fd, end > LOG_TAIL ? end - LOG_TAIL : 0, SEEK_SET);
    ssize_t got = read(fd, text, sizeof(text));
    close(fd);
    buf_printf(out, "\n== the end of the log of %s\n", name);
    if (got > 0)
        buf_append(out, text, (size_t)got);
}

static int config_write(struct own_cluster *c, struct buf *error) {
    uint8_t random[48];
    char secret[65], admin[33], path[PATH_BYTES];
    crypto_random(random, sizeof(random));
    hex_encode(random, 32, secret);
    hex_encode(random + 32, 16, admin);
    snprintf(c->admin_key, sizeof(c->admin_key), "hwa_%s", admin);
    path_in(c, "hawser", ".yaml", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0 &&
        dprintf(fd, "cluster:\n  secrets: [%s]\n  admin_keys: [%s]\n", secret, c->admin_key) > 0 &&
        close(fd) == 0)
        return 0;
    buf_printf(error, "%s: %s", path, strerror(errno));
    return -1;
}

// --- processes

struct watched *own_cluster_add(struct own_cluster *c, const char *role) {
    struct watched *w = &c->watched[c->watched_count++];
    snprintf(w->role, sizeof(w->role), "%s", role);
    w->is_ours = true;
    return w;
}

static const char *name_of(const struct watched *w) {
    return w->child.name;
}

// Waits for a file; its process may end before that.
static int file_await(struct own_cluster *c, struct watched *w, const char *path,
                      struct buf *error) {
    char name[sizeof(w->child.name)];
    snprintf(name, sizeof(name), "%s", name_of(w));
    for (int i = 0; i < UP_STEPS && !child_has_ended(&w->child); i++) {
        if (access(path, F_OK) == 0)
            return 0;
        usleep(UP_STEP_US);
    }
    buf_printf(error, "%s did not come up", name);
    own_cluster_log_tail(c, name, error);
    return -1;
}

static int redis_start(struct own_cluster *c, struct buf *error) {
    char socket[PATH_BYTES], log[PATH_BYTES];
    path_in(c, "redis", ".sock", socket);
    path_in(c, "redis", ".log", log);
    const char *const argv[] = {"redis-server",
                                "--port",
                                "0",
                                "--unixsocket",
                                socket,
                                "--dir",
                                c->folder.path,
                                "--save",
                                "",
                                "--appendonly",
                                "yes",
                                "--appendfsync",
                                "everysec",
                                "--maxmemory-policy",
                                "noeviction",
                                NULL};
    const char *const environment[] = {NULL};
    const struct child_program program = {.name = "redis",
                                          .argv = argv,
                                          .environment = environment,
                                          .log = log,
                                          .cores = cores_of_rest(c->cores)};
    struct watched *w = own_cluster_add(c, "redis");
    if (child_start(&program, &w->child) != 0) {
        buf_append_str(error, "redis-server cannot be started");
        return -1;
    }
    snprintf(c->redis_url, sizeof(c->redis_url), "unix://%.200s", socket);
    return file_await(c, w, socket, error);
}

struct role_start {
    const char *role;
    unsigned number;
    const cpu_set_t *cores;
};

static int daemon_launch(struct own_cluster *c, struct watched *w, const struct role_start *r,
                         struct buf *error) {
    char name[32], binary[PATH_BYTES], config[PATH_BYTES], ports[PATH_BYTES], log[PATH_BYTES];
    char upper[16], listen[64], ops[64], redis[300], registers[64];
    snprintf(name, sizeof(name), "%s%u", r->role, r->number);
    snprintf(binary, sizeof(binary), "%s/hawser-%s", c->bin, r->role);
    path_in(c, "hawser", ".yaml", config);
    path_in(c, name, ".json", ports);
    path_in(c, name, ".log", log);
    snprintf(upper, sizeof(upper), "%s", r->role);
    for (char *p = upper; *p; p++)
        *p = (char)(*p & ~0x20);
    snprintf(listen, sizeof(listen), "HAWSER_%s__LISTEN=127.0.0.1:0", upper);
    snprintf(ops, sizeof(ops), "HAWSER_%s__OPS_LISTEN=127.0.0.1:0", upper);
    snprintf(redis, sizeof(redis), "HAWSER_REDIS__URL=%s",
             c->redis_url[0] ? c->redis_url : "memory:");
    snprintf(registers, sizeof(registers), "HAWSER_CLUSTER__REGISTERS=127.0.0.1:%u",
             c->register_port ? c->register_port : 1);
    const char *const argv[] = {binary, "--config", config, "--ports-file", ports, NULL};
    const char *const environment[] = {listen,
                                       ops,
                                       redis,
                                       registers,
                                       "HAWSER_ROOM__RPC_LISTEN=127.0.0.1:0",
                                       "HAWSER_ROOM__DRAIN_WITHIN=0ms",
                                       "HAWSER_DISPATCHER__HTTP_LISTEN=127.0.0.1:0",
                                       NULL};
    const struct child_program program = {
        .name = name, .argv = argv, .environment = environment, .log = log, .cores = r->cores};
    unlink(ports); // of one that was killed
    if (child_start(&program, &w->child) == 0)
        return 0;
    buf_printf(error, "%s cannot be started", name);
    return -1;
}

static int port_read(struct own_cluster *c, struct watched *w, uint16_t *ret_port,
                     struct buf *error) {
    char path[PATH_BYTES];
    path_in(c, name_of(w), ".json", path);
    if (file_await(c, w, path, error) != 0)
        return -1;
    json_t *ports = json_load_file(path, 0, NULL);
    *ret_port = (uint16_t)json_integer_value(json_object_get(ports, w->role));
    json_decref(ports);
    return 0;
}

static int role_up(struct own_cluster *c, const char *role, uint16_t *ret_port, struct buf *error) {
    const struct role_start r = {role, 0, cores_of_role(c->cores, role)};
    struct watched *w = own_cluster_add(c, role);
    return daemon_launch(c, w, &r, error) != 0 ? -1 : port_read(c, w, ret_port, error);
}

// Launched together, then waited for: the first of them is the first-th process.
static int rooms_launch(struct own_cluster *c, uint32_t first, uint32_t rooms, struct buf *error) {
    for (uint32_t i = 0; i < rooms; i++) {
        const struct role_start r = {"room", i, cores_of_room(c->cores, i)};
        if (daemon_launch(c, &c->watched[first + i], &r, error) != 0)
            return -1;
    }
    for (uint32_t i = 0; i < rooms; i++)
        if (port_read(c, &c->watched[first + i], &c->rooms[i], error) != 0)
            return -1;
    c->room_count = rooms;
    return 0;
}

static int rooms_up(struct own_cluster *c, uint32_t rooms, struct buf *error) {
    uint32_t first = c->watched_count;
    for (uint32_t i = 0; i < rooms; i++)
        own_cluster_add(c, "room");
    return rooms_launch(c, first, rooms, error);
}

int own_cluster_rooms_again(struct own_cluster *c, struct buf *error) {
    uint32_t first = 0;
    while (strcmp(c->watched[first].role, "room") != 0)
        first++;
    for (uint32_t i = 0; i < c->room_count; i++)
        child_kill(&c->watched[first + i].child);
    return rooms_launch(c, first, c->room_count, error);
}

// Beside our own file.
static int bin_find(struct own_cluster *c, const struct options *o, struct buf *error) {
    ssize_t len = 0;
    if (o->bin)
        len = snprintf(c->bin, sizeof(c->bin), "%s", o->bin);
    else
        len = readlink("/proc/self/exe", c->bin, sizeof(c->bin) - 1);
    c->bin[len > 0 && (size_t)len < sizeof(c->bin) ? len : 0] = '\0';
    char *slash = o->bin ? NULL : strrchr(c->bin, '/');
    if (slash)
        *slash = '\0';
    char room[PATH_BYTES];
    snprintf(room, sizeof(room), "%s/hawser-room", c->bin);
    if (access(room, X_OK) == 0)
        return 0;
    buf_printf(error, "%s: %s; --bin says where the daemons are", room, strerror(errno));
    return -1;
}

int own_cluster_start(struct own_cluster *c, const struct options *o, uint32_t rooms,
                      struct buf *error) {
    uint16_t ignored;
    if (bin_find(c, o, error) != 0 || folder_make(&c->folder, error) != 0 ||
        config_write(c, error) != 0)
        return -1;
    if (o->redis && redis_start(c, error) != 0)
        return -1;
    if (role_up(c, "register", &c->register_port, error) != 0 ||
        role_up(c, "saver", &ignored, error) != 0 || rooms_up(c, rooms, error) != 0 ||
        role_up(c, "center", &c->center, error) != 0 ||
        role_up(c, "coordinator", &ignored, error) != 0 ||
        role_up(c, "dispatcher", &ignored, error) != 0)
        return -1;
    return 0;
}

// Clients' doors first, what they need last.
void own_cluster_end(struct own_cluster *c) {
    while (c->watched_count > 0) {
        struct watched *w = &c->watched[--c->watched_count];
        if (w->is_ours)
            child_end(&w->child);
    }
    folder_remove(&c->folder);
}

const char *own_cluster_fallen(struct own_cluster *c, struct buf *ret_log) {
    for (uint32_t i = 0; i < c->watched_count; i++) {
        struct watched *w = &c->watched[i];
        if (!w->is_ours || !child_has_ended(&w->child))
            continue;
        own_cluster_log_tail(c, name_of(w), ret_log);
        return name_of(w);
    }
    return NULL;
}

// --- one that runs

// `hawser` is all of them in one process, which counts once, as the room that it is too.
static void process_found(struct own_cluster *c, const char *role, pid_t pid) {
    for (uint32_t i = 0; i < c->watched_count; i++)
        if (c->watched[i].child.pid == pid)
            return;
    if (pid == 0 || c->watched_count == DAEMONS_MAX)
        return;
    struct watched *w = own_cluster_add(c, role);
    w->child.pid = pid;
    w->is_ours = false;
}

static void redis_found(struct own_cluster *c) {
    struct redis_url url;
    struct buf ignored = BUF_EMPTY;
    if (c->redis_url[0] && redis_url_parse(c->redis_url, &url, &ignored) == 0)
        process_found(c, "redis",
                      url.unix_socket ? probe_unix_listener(url.host) : probe_listener(url.port));
    buf_free(&ignored);
}

// The rooms by their clients' doors, the others by the ports that the file has for operators.
static void processes_find(struct own_cluster *c, json_t *root) {
    const char *role;
    json_t *port;
    for (uint32_t i = 0; i < c->room_count; i++)
        process_found(c, "room", probe_listener(c->rooms[i]));
    process_found(c, "center", probe_listener(c->center));
    json_object_foreach(json_object_get(root, "ops"), role, port)
        process_found(c, role, probe_listener((uint16_t)json_integer_value(port)));
    redis_found(c);
}

static bool cluster_take(struct own_cluster *c, const json_t *root) {
    const json_t *rooms = json_object_get(root, "rooms");
    const char *key = json_string_value(json_object_get(root, "admin_key"));
    c->center = (uint16_t)json_integer_value(json_object_get(root, "center"));
    for (size_t i = 0; i < json_array_size(rooms) && i < PORTS_MAX; i++)
        c->rooms[c->room_count++] = (uint16_t)json_integer_value(json_array_get(rooms, i));
    snprintf(c->admin_key, sizeof(c->admin_key), "%s", key ? key : "");
    return c->center && c->room_count > 0 && key;
}

int own_cluster_read(struct own_cluster *c, const struct options *o, struct buf *error) {
    json_error_t wrong;
    json_t *root = json_load_file(o->cluster, 0, &wrong);
    bool is_taken = root && cluster_take(c, root);
    snprintf(c->redis_url, sizeof(c->redis_url), "%s", o->redis_url ? o->redis_url : "");
    if (is_taken)
        processes_find(c, root);
    else
        buf_printf(error, "%s: %s", o->cluster,
                   root ? "it needs center, rooms and admin_key" : wrong.text);
    json_decref(root);
    return is_taken ? 0 : -1;
}
