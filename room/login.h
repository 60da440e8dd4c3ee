// A Bind's token: whose session it makes, or renews.
#ifndef HW_LOGIN_H
#define HW_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

struct bind_request;
struct conn;
struct room_binding;

// NULL: no slot. Else answered by hello_answered, later unless it is refused at once.
struct room_binding *login_begin(struct conn *c, const struct bind_request *bind);
// What a Bind sets, and a later one for the same session sets anew.
struct bind_terms {
    char *tags; // owned; NULL = none
    uint64_t expires_ms;
};
// Would this Bind log in to what the binding holds? Checked at once; nothing changes yet. false:
// the login must go the whole way.
bool login_check_resume(const struct room_binding *b, const struct bind_request *bind,
                        struct bind_terms *ret_terms);
// The same of whatever this Bind would log in to, and lingers here; NULL: nothing.
struct room_binding *login_find_lingering(const struct conn *c, const struct bind_request *bind,
                                          struct bind_terms *ret_terms);
void login_take_terms(struct room_binding *b, struct bind_terms *terms); // takes the tags over
const char *login_product_name(const struct room_binding *b);            // "": it cannot be known

#endif
