#include "problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"

static const struct {
    const char *code, *title;
    int status;
} problem_table[] = {{"none", "", 200},
#define PROBLEM_ROW(code, status, title) {#code, title, status},
                     PROBLEMS(PROBLEM_ROW)
#undef PROBLEM_ROW
};

int problem_status(enum problem_code code) {
    return problem_table[code].status;
}

const char *problem_name(enum problem_code code) {
    return problem_table[code].code;
}

bool problem_set(struct problem *p, enum problem_code code, const char *field, const char *format,
                 ...) {
    va_list args;
    if (p->code != PROBLEM_NONE)
        return false;
    p->code = code;
    snprintf(p->field, sizeof(p->field), "%s", field ? field : "");
    va_start(args, format);
    vsnprintf(p->detail, sizeof(p->detail), format, args);
    va_end(args);
    utf8_mend(p->field); // names from outside stand in them, and they may be cut
    utf8_mend(p->detail);
    return false;
}

json_t *problem_json(const struct problem *p, const char *request_id) {
    char type[64];
    const char *code = problem_table[p->code].code;
    snprintf(type, sizeof(type), "urn:hawser:error:%s", code);
    json_t *body =
        json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", type, "title", problem_table[p->code].title,
                  "status", problem_table[p->code].status, "detail", p->detail, "code", code);
    if (p->field[0])
        json_object_set_new(body, "field", json_string(p->field));
    if (p->outcome_unknown)
        json_object_set_new(body, "outcome", json_string("unknown"));
    if (request_id)
        json_object_set_new(body, "request_id", json_string(request_id));
    return body;
}
