// A center: the HTTP API for app servers and operators. It appends what is pushed, finds where the
// users are, and hands the message to their rooms. Holds nothing that must survive it.
#ifndef HW_CENTER_H
#define HW_CENTER_H

#include "daemon.h"
#include "http.h"

extern const struct daemon_role center_role;

// The API without its HTTP server, for the simulation: a start without one, and a request of its
// own making. self is the role's value.
int center_start(struct daemon_env *env, bool with_http, struct buf *ret_error, void **ret_self);
void center_request(void *self, struct http_request *r);

#endif
