// The text of redis.url, taken apart. Without I/O.
#ifndef HW_REDIS_URL_H
#define HW_REDIS_URL_H

#include <stdint.h>

#include "addr.h"
#include "buf.h"

struct redis_url {
    char host[HOST_MAX + 1]; // or the path of a UNIX socket, when unix_socket
    bool unix_socket;
    uint16_t port;
    char user[128], password[128]; // "" = none
    uint32_t db;
};

// redis://[[user]:password@]host[:port][/db], unix:///path[?db=n]; %XX in user and password
// is that byte. 0, or -EINVAL with the reason in
// ret_error (never the password).
int redis_url_parse(const char *url, struct redis_url *ret_url,
                    struct buf *ret_error) HW_MUST_CHECK;

#endif
