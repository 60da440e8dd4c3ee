#include "redis_url.h"

#include <errno.h>
#include <string.h>

#include "url_part.h"

enum { PORT_DEFAULT = 6379, DB_DIGITS_MAX = 5, UNIX_PATH_MAX = 107 };

static int redis_url_refuse(struct buf *ret_error, const char *why) {
    buf_append_str(ret_error, why);
    return -EINVAL;
}

static bool db_parse(const char *text, uint32_t *ret_db) {
    size_t len = strlen(text);
    uint32_t db = 0;
    if (len == 0 || len > DB_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        db = db * 10 + (uint32_t)(text[i] - '0');
    }
    *ret_db = db;
    return true;
}

static int parse_unix(const char *path, struct redis_url *u, struct buf *ret_error) {
    const char *query = strchr(path, '?');
    u->unix_socket = true;
    size_t len = query ? (size_t)(query - path) : strlen(path);
    if (path[0] != '/' || len > UNIX_PATH_MAX ||
        !url_part_copy(path, len, u->host, sizeof(u->host)))
        return redis_url_refuse(ret_error, "unix:// needs an absolute path of at most 107 bytes");
    if (query && (strncmp(query, "?db=", 4) != 0 || !db_parse(query + 4, &u->db)))
        return redis_url_refuse(ret_error, "after the path only ?db=<number> is allowed");
    return 0;
}

static int parse_tcp(const char *rest, struct redis_url *u, struct buf *ret_error) {
    const char *at = strrchr(rest, '@'),
               *colon = at ? memchr(rest, ':', (size_t)(at - rest)) : NULL;
    if (at && strchr(rest, '@') != at) // it may stand for more than one host
        return redis_url_refuse(ret_error, "more than one @; in user and password it is %40");
    if (at &&
        (!colon || !url_part_decode(rest, (size_t)(colon - rest), u->user, sizeof(u->user)) ||
         !url_part_decode(colon + 1, (size_t)(at - colon - 1), u->password, sizeof(u->password))))
        return redis_url_refuse(ret_error,
                                "before @ stands user:password, each of at most 127 bytes, with "
                                "%XX for what would not be read so");
    const char *host = at ? at + 1 : rest, *slash = strchr(host, '/');
    char authority[HOST_MAX + 8];
    struct host_port hp;
    if (!url_part_copy(host, slash ? (size_t)(slash - host) : strlen(host), authority,
                       sizeof(authority)) ||
        host_port_parse(authority, true, &hp) != 0 || hp.host[0] == '\0')
        return redis_url_refuse(ret_error, "needs a host, or host:port with a port of 1..65535");
    if (hp.port == 0 && strchr(authority + strlen(hp.host), ':'))
        return redis_url_refuse(ret_error, "a port is 1..65535");
    if (slash && slash[1] != '\0' && !db_parse(slash + 1, &u->db))
        return redis_url_refuse(ret_error, "after the host only /<db number> is allowed");
    memcpy(u->host, hp.host, sizeof(u->host));
    u->port = hp.port ? hp.port : PORT_DEFAULT;
    return 0;
}

int redis_url_parse(const char *url, struct redis_url *ret_url, struct buf *ret_error) {
    static const char *const later[] = {"rediss://", "redis-sentinel://", "redis-cluster://"};
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
        if (strncmp(url, later[i], strlen(later[i])) == 0) {
            buf_append_str(ret_error, later[i]);
            return redis_url_refuse(ret_error, " is not built; redis:// and unix:// are");
        }
    }
    struct redis_url u = {0};
    int error =
        strncmp(url, "unix://", 7) == 0 ? parse_unix(url + 7, &u, ret_error)
        : strncmp(url, "redis://", 8) == 0
            ? parse_tcp(url + 8, &u, ret_error)
            : redis_url_refuse(ret_error, "must begin with redis:// or unix://, or be memory:");
    if (error == 0)
        *ret_url = u;
    return error;
}
