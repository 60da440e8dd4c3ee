// Addresses as text: "host:port", "[v6]:port", "unix:///path", and listen specs whose port may be a
// range or 0.
#ifndef HW_ADDR_H
#define HW_ADDR_H

#include <stdbool.h>
#include <stdint.h>

#include "os.h"

enum { HOST_MAX = 255 };

struct host_port {
    char host[HOST_MAX + 1]; // without brackets
    uint16_t port;           // first port of a range; 0 = the kernel's choice, or none given
    uint16_t port_last;      // = port unless a range was given
};

// "host:port", "host:first-last", "[::1]:port", ":port" (all addresses), "host" when port_optional.
// 0 or -EINVAL.
int host_port_parse(const char *text, bool port_optional, struct host_port *ret_hp) HW_MUST_CHECK;
void host_port_format(const char *host, uint16_t port, char *out,
                      size_t out_len); // brackets a v6 host

// Only numeric hosts (and "" or "*" = all IPv4 addresses... of this machine); -EINVAL for names:
// those go through os_resolve.
int sock_addr_parse(const char *host, uint16_t port, struct sock_addr *ret_addr) HW_MUST_CHECK;
void sock_addr_format(
    const struct sock_addr *a, char *out,
    size_t out_len); // "127.0.0.1:7200", also of ::ffff:127.0.0.1; 64 bytes hold any
// "127.0.0.1", "::1" or "unix": who it is, whatever port it comes from; 48 bytes hold any
void sock_addr_host(const struct sock_addr *a, char *out, size_t out_len);
uint16_t sock_addr_port(const struct sock_addr *a);

#endif
