#include "redis_info.h"

#include <string.h>

bool redis_info_value(const char *info, const char *name, char *out, size_t out_bytes) {
    size_t name_len = strlen(name);
    for (const char *line = info; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, name_len) != 0 || line[name_len] != ':')
            continue;
        size_t len = strcspn(line + name_len + 1, "\r\n");
        if (len >= out_bytes)
            return false;
        memcpy(out, line + name_len + 1, len);
        out[len] = '\0';
        return true;
    }
    return false;
}

static bool is(const char *info, const char *name, const char *wanted) {
    char value[64];
    return redis_info_value(info, name, value, sizeof(value)) && strcmp(value, wanted) == 0;
}

bool redis_info_is_loading(const char *info) {
    return is(info, "loading", "1");
}

bool redis_info_is_primary(const char *info) {
    return is(info, "role", "master");
}

const char *redis_info_unfit(const char *info, bool allow_volatile) {
    char run_id[RUN_ID_MAX + 1];
    if (redis_info_is_loading(info)) // until then it says that it has no AOF
        return "it is loading its data";
    if (!redis_info_is_primary(info))
        return "it is a replica, which is never read";
    if (!redis_info_value(info, "run_id", run_id, sizeof(run_id)) || run_id[0] == '\0')
        return "INFO has no run_id";
    if (allow_volatile)
        return NULL;
    if (!is(info, "aof_enabled", "1"))
        return "it runs without AOF (appendonly yes), so it forgets at a crash";
    if (!is(info, "maxmemory_policy", "noeviction"))
        return "its maxmemory_policy is not noeviction, so it may drop what was accepted";
    return NULL;
}

bool redis_error_is_of_server(const char *error) {
    static const char *const codes[] = {"READONLY ", "LOADING ", "MASTERDOWN ", "NOAUTH ",
                                        "HISTORY "};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        const char *at = strstr(error, codes[i]);
        if (at == error || (at && at[-1] == '-')) // an older server quotes it: "... -READONLY ..."
            return true;
    }
    return false;
}
