// The text of mariadb.url, taken apart. Without I/O.
#ifndef HW_MARIA_URL_H
#define HW_MARIA_URL_H

#include <stdint.h>

#include "addr.h"
#include "buf.h"

struct maria_url {
    char host[HOST_MAX + 1]; // or the path of a UNIX socket, when unix_socket
    bool unix_socket;
    uint16_t port;
    char user[128], password[128]; // password "" = none
    char database[65];
};

// mariadb://user[:password]@host[:port]/database or unix://user[:password]@/path?db=database; %XX
// in user and password is that byte. 0, or -EINVAL with the reason in ret_error (never the
// password).
int maria_url_parse(const char *url, struct maria_url *ret_url,
                    struct buf *ret_error) HW_MUST_CHECK;

#endif
