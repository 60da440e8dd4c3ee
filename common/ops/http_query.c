// Percent-encoding and query fields.
#include "bytes.h"
#include "http.h"

bool http_unescape(const char *data, size_t len, bool plus, char *out) {
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '+' && plus) {
            *out++ = ' ';
        } else if (data[i] != '%') {
            *out++ = data[i];
        } else {
            int high = i + 2 < len ? hex_digit(data[i + 1]) : -1;
            int low = i + 2 < len ? hex_digit(data[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return false;
            *out++ = (char)(high << 4 | low);
            i += 2;
        }
    }
    *out = '\0';
    return true;
}

bool http_query_next(struct http_query *q, const char *name, char *out, size_t out_len) {
    size_t name_len = strlen(name);
    for (const char *field = q->at; *field;) {
        size_t len = strcspn(field, "&");
        const char *next = field + len + (field[len] == '&' ? 1 : 0);
        if (len > name_len && memcmp(field, name, name_len) == 0 && field[name_len] == '=') {
            size_t value_len = len - name_len - 1;
            q->at = next;
            if (value_len >= out_len || !http_unescape(field + name_len + 1, value_len, true, out))
                q->is_bad = true;
            return true;
        }
        field = next;
    }
    return false;
}

bool http_query_get(const char *query, const char *name, char *out, size_t out_len, bool *ret_bad) {
    struct http_query q = {.at = query};
    bool is_there = http_query_next(&q, name, out, out_len);
    *ret_bad = *ret_bad || q.is_bad;
    return is_there;
}
