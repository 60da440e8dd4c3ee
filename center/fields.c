// Reading JSON fields with their limits, and the text forms of what the API shows.
#include "center_internal.h"

static void path_of(const char *prefix, const char *name, char out[160]) {
    snprintf(out, 160, "%s%s%s", prefix, *prefix ? "." : "", name);
}

bool fields_known(const json_t *object, const char *prefix, const char *const *names,
                  struct problem *p) {
    const char *key;
    json_t *value;
    char path[160];
    if (!json_is_object(object))
        return *prefix ? problem_set(p, PROBLEM_invalid_value, prefix, "%s is an object", prefix)
                       : problem_set(p, PROBLEM_malformed, NULL, "the body is a JSON object");
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        const char *const *name = names;
        while (*name && strcmp(*name, key) != 0)
            name++;
        if (*name)
            continue;
        path_of(prefix, key, path);
        return problem_set(p, PROBLEM_unknown_field, path, "there is no field '%.100s'", path);
    }
    return true;
}

bool field_text(const json_t *object, const char *prefix, const char *name, size_t max,
                bool required, const char **ret_text, struct problem *p) {
    const json_t *value = json_object_get(object, name);
    char path[160];
    path_of(prefix, name, path);
    if (!value)
        return required ? problem_set(p, PROBLEM_missing_field, path, "%s is needed", path) : true;
    const char *text = json_string_value(value);
    if (!text || !id_is_valid(text, json_string_length(value), max))
        return problem_set(p, PROBLEM_invalid_value, path,
                           "%s is 1..%zu bytes of UTF-8 without control characters", path, max);
    *ret_text = text;
    return true;
}

bool field_number(const json_t *object, const char *prefix, const char *name, uint64_t low,
                  uint64_t high, bool *ret_given, uint64_t *ret_value, struct problem *p) {
    const json_t *value = json_object_get(object, name);
    char path[160];
    path_of(prefix, name, path);
    *ret_given = value != NULL;
    if (!value)
        return true;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) < low || (uint64_t)json_integer_value(value) > high)
        return problem_set(p, PROBLEM_invalid_value, path, "%s is a whole number from %llu to %llu",
                           path, (unsigned long long)low, (unsigned long long)high);
    *ret_value = (uint64_t)json_integer_value(value);
    return true;
}

bool field_bool(const json_t *object, const char *prefix, const char *name, bool *ret_value,
                struct problem *p) {
    const json_t *value = json_object_get(object, name);
    char path[160];
    path_of(prefix, name, path);
    if (!value)
        return true;
    if (!json_is_boolean(value))
        return problem_set(p, PROBLEM_invalid_value, path, "%s is true or false", path);
    *ret_value = json_is_true(value);
    return true;
}

bool check_tags(const json_t *list, const char *field, size_t max, struct problem *p) {
    size_t i;
    json_t *tag;
    char path[160];
    if (!json_is_array(list) || json_array_size(list) > max)
        return problem_set(p, PROBLEM_invalid_value, field, "%s is a list of at most %zu tags",
                           field, max);
    json_array_foreach((json_t *)(uintptr_t)list, i, tag) {
        snprintf(path, sizeof(path), "%s[%zu]", field, i);
        if (!json_is_string(tag) ||
            !id_is_valid(json_string_value(tag), json_string_length(tag), 64))
            return problem_set(p, PROBLEM_invalid_value, path,
                               "a tag is 1..64 bytes of UTF-8 without control characters");
    }
    return true;
}

void format_time(uint64_t unix_ms, char out[32]) {
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t len = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + len, 32 - len, ".%03uZ", (unsigned)(unix_ms % 1000));
}

json_t *time_json(uint64_t unix_ms) {
    char text[32];
    if (unix_ms == 0)
        return json_null();
    format_time(unix_ms, text);
    return json_string(text);
}

json_t *text_json(const char *text) {
    char *copy = hw_strdup(text);
    utf8_mend(copy);
    json_t *value = json_string(copy);
    free(copy);
    return value;
}

// The number that the bytes are, most significant first, in base 62.
void base62(const uint8_t *data, size_t len, char *out, size_t chars) {
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint8_t rest[32];
    memcpy(rest, data, len);
    for (size_t i = chars; i-- > 0;) {
        unsigned carry = 0;
        for (size_t j = 0; j < len; j++) {
            unsigned value = carry << 8 | rest[j];
            rest[j] = (uint8_t)(value / 62);
            carry = value % 62;
        }
        out[i] = digits[carry];
    }
    out[chars] = '\0';
}

void random_base62(char *out, size_t chars) {
    uint8_t data[32];
    crypto_random(data, sizeof(data)); // more bits than the characters hold
    base62(data, sizeof(data), out, chars);
}

static int base64_value(char c) {
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

// RFC 4648 section 4, padded, without anything else.
bool base64_decode(const char *text, size_t len, struct buf *out) {
    if (len % 4 != 0)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        bool is_last = i + 4 == len;
        int pad = is_last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 2 : 1) : 0;
        uint32_t bits = 0;
        for (int j = 0; j < 4; j++) {
            int value = j >= 4 - pad ? 0 : base64_value(text[i + (size_t)j]);
            if (value < 0)
                return false;
            bits = bits << 6 | (uint32_t)value;
        }
        uint8_t bytes[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
        if ((pad == 1 && bytes[2] != 0) || (pad == 2 && (bytes[1] != 0 || bytes[2] != 0)))
            return false; // bits that nothing stands for
        buf_append(out, bytes, (size_t)(3 - pad));
    }
    return true;
}

bool query_limit(struct request *q, uint64_t *ret_limit, struct problem *p) {
    char text[16];
    bool bad = false;
    *ret_limit = 100;
    if (!http_query_get(q->http->query, "limit", text, sizeof(text), &bad))
        return true;
    char *end = NULL;
    unsigned long long value = bad ? 0 : strtoull(text, &end, 10);
    if (bad || *end || value < 1 || value > 1000)
        return problem_set(p, PROBLEM_invalid_value, "limit", "limit is a number from 1 to 1000");
    *ret_limit = value;
    return true;
}
