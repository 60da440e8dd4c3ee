#include "maria_url.h"

#include <errno.h>
#include <string.h>

#include "url_part.h"

enum { MARIA_PORT_DEFAULT = 3306, SOCKET_PATH_MAX = 107 };

static int maria_url_refuse(struct buf *ret_error, const char *why) {
    buf_append_str(ret_error, why);
    return -EINVAL;
}

// What stands before the @; *rest goes behind it.
static int take_login(const char **rest, struct maria_url *u, struct buf *ret_error) {
    const char *from = *rest, *at = strrchr(from, '@');
    if (!at)
        return maria_url_refuse(ret_error, "needs user:password@");
    if (strchr(from, '@') != at)
        return maria_url_refuse(ret_error, "more than one @; in user and password it is %40");
    const char *colon = memchr(from, ':', (size_t)(at - from)), *user_end = colon ? colon : at;
    bool is_right = url_part_decode(from, (size_t)(user_end - from), u->user, sizeof(u->user)) &&
                    u->user[0] != '\0' &&
                    (!colon || url_part_decode(colon + 1, (size_t)(at - colon - 1), u->password,
                                               sizeof(u->password)));
    *rest = at + 1;
    return is_right ? 0
                    : maria_url_refuse(ret_error, "before @ stands user:password, each of at most "
                                                  "127 bytes, with %XX for what would not be read "
                                                  "so");
}

// It stands in statements, between backquotes.
static bool take_database(const char *name, struct maria_url *u) {
    for (const char *c = name; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              *c == '_' || *c == '-'))
            return false;
    return *name && url_part_copy(name, strlen(name), u->database, sizeof(u->database));
}

static int take_socket(const char *path, struct maria_url *u, struct buf *ret_error) {
    const char *query = strchr(path, '?');
    size_t len = query ? (size_t)(query - path) : strlen(path);
    u->unix_socket = true;
    if (path[0] != '/' || len > SOCKET_PATH_MAX ||
        !url_part_copy(path, len, u->host, sizeof(u->host)))
        return maria_url_refuse(ret_error, "unix:// needs user:password@ and an absolute path of "
                                           "at most 107 bytes");
    if (!query || strncmp(query, "?db=", 4) != 0 || !take_database(query + 4, u))
        return maria_url_refuse(ret_error, "behind the path stands ?db=database, of at most 64 "
                                           "letters, digits, _ and -");
    return 0;
}

static int take_host(const char *host, struct maria_url *u, struct buf *ret_error) {
    const char *slash = strchr(host, '/');
    char authority[HOST_MAX + 8];
    struct host_port hp;
    if (!slash || !take_database(slash + 1, u))
        return maria_url_refuse(ret_error, "behind the host stands /database, of at most 64 "
                                           "letters, digits, _ and -");
    if (!url_part_copy(host, (size_t)(slash - host), authority, sizeof(authority)) ||
        host_port_parse(authority, true, &hp) != 0 || hp.host[0] == '\0' || hp.port != hp.port_last)
        return maria_url_refuse(ret_error, "needs a host, or host:port with a port of 1..65535");
    if (hp.port == 0 && strchr(authority + strlen(hp.host), ':'))
        return maria_url_refuse(ret_error, "a port is 1..65535");
    memcpy(u->host, hp.host, sizeof(u->host));
    u->port = hp.port ? hp.port : MARIA_PORT_DEFAULT;
    return 0;
}

int maria_url_parse(const char *url, struct maria_url *ret_url, struct buf *ret_error) {
    struct maria_url u = {0};
    bool is_socket = strncmp(url, "unix://", 7) == 0;
    if (!is_socket && strncmp(url, "mariadb://", 10) != 0)
        return maria_url_refuse(ret_error, "must begin with mariadb:// or unix://");
    const char *rest = url + (is_socket ? 7 : 10);
    int error = take_login(&rest, &u, ret_error);
    if (error == 0)
        error = is_socket ? take_socket(rest, &u, ret_error) : take_host(rest, &u, ret_error);
    if (error == 0)
        *ret_url = u;
    return error;
}
