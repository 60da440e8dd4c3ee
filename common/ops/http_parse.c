// The head of a request: lines are found and checked first, then libhttp-parser splits a copy of
// them, then the fields are judged.
#include "http_parse.h"

#include <assert.h>
#include <http_parser.h>

#include "buf.h"

const struct http_refusal_row http_refusal_rows[HTTP_REFUSAL_COUNT] = {
#define HTTP_REFUSAL_ROW(code, status, title) {#code, title, status},
    HTTP_REFUSALS(HTTP_REFUSAL_ROW)
#undef HTTP_REFUSAL_ROW
};

static const struct {
    enum http_refusal refusal;
    const char *detail;
} fault_rows[] = {
#define HTTP_FAULT_ROW(name, refusal, detail) {HTTP_REFUSAL_##refusal, detail},
    HTTP_FAULTS(HTTP_FAULT_ROW)
#undef HTTP_FAULT_ROW
};

static const char *const field_names[HTTP_FIELD_COUNT] = {
#define HTTP_FIELD_NAME(name, text) text,
    HTTP_FIELDS(HTTP_FIELD_NAME)
#undef HTTP_FIELD_NAME
};

enum http_refusal http_fault_refusal(enum http_fault fault) {
    return fault_rows[fault].refusal;
}

const char *http_fault_detail(enum http_fault fault) {
    return fault_rows[fault].detail;
}

const char *http_reason(int status) {
    return http_status_str((enum http_status)status);
}

static enum http_parsed http_parse_bad(struct http_head *h, enum http_fault fault) {
    h->fault = fault;
    return HTTP_PARSED_BAD;
}

// --- lines

static bool is_token(const uint8_t *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] >= 127 || strchr("\"(),/:;<=>?@[\\]{}", text[i]))
            return false;
    return len > 0;
}

// The line without its CR LF.
static enum http_parsed check_bytes(struct http_head *h, const uint8_t *line, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (line[i] == '\r')
            return http_parse_bad(h, HTTP_FAULT_LINE_END);
        if (line[i] == '\0')
            return http_parse_bad(h, HTTP_FAULT_NUL);
        if ((line[i] < ' ' && line[i] != '\t') || line[i] == 127)
            return http_parse_bad(h, HTTP_FAULT_CONTROL);
    }
    return HTTP_PARSED_OK;
}

static enum http_parsed check_request_line(struct http_head *h, const uint8_t *line, size_t len) {
    const uint8_t *end = line + len;
    const uint8_t *target = memchr(line, ' ', len);
    if (!target || !is_token(line, (size_t)(target - line)))
        return http_parse_bad(h, HTTP_FAULT_REQUEST_LINE);
    target++;
    const uint8_t *version = memchr(target, ' ', (size_t)(end - target));
    if (!version || version == target)
        return http_parse_bad(h, HTTP_FAULT_REQUEST_LINE);
    if (version - target > HTTP_TARGET_MAX)
        return http_parse_bad(h, HTTP_FAULT_TARGET_LONG);
    for (const uint8_t *at = target; at < version; at++)
        if (*at <= ' ' || *at >= 127 || *at == '#')
            return http_parse_bad(h, HTTP_FAULT_TARGET);
    version++;
    if (end - version != 8 || memcmp(version, "HTTP/", 5) != 0 || version[6] != '.' ||
        version[5] < '0' || version[5] > '9' || version[7] < '0' || version[7] > '9')
        return http_parse_bad(h, HTTP_FAULT_REQUEST_LINE);
    bool is_spoken = version[5] == '1' && version[7] <= '1';
    return is_spoken ? HTTP_PARSED_OK : http_parse_bad(h, HTTP_FAULT_VERSION);
}

static enum http_parsed check_field_line(struct http_head *h, const uint8_t *line, size_t len) {
    if (line[0] == ' ' || line[0] == '\t')
        return http_parse_bad(h, HTTP_FAULT_FOLD);
    const uint8_t *colon = memchr(line, ':', len);
    if (!colon || !is_token(line, (size_t)(colon - line)))
        return http_parse_bad(h, HTTP_FAULT_FIELD_NAME);
    return h->lines > HTTP_FIELDS_MAX ? http_parse_bad(h, HTTP_FAULT_FIELDS) : HTTP_PARSED_OK;
}

// One line with its LF. MORE: the head goes on.
static enum http_parsed take_line(struct http_head *h, const uint8_t *line, size_t len) {
    if (len < 2 || line[len - 2] != '\r')
        return http_parse_bad(h, HTTP_FAULT_LINE_END);
    len -= 2;
    if (len == 0)
        return h->lines > 0 ? HTTP_PARSED_OK : http_parse_bad(h, HTTP_FAULT_REQUEST_LINE);
    enum http_parsed checked = check_bytes(h, line, len);
    if (checked == HTTP_PARSED_OK)
        checked = h->lines == 0 ? check_request_line(h, line, len) : check_field_line(h, line, len);
    h->lines++;
    return checked == HTTP_PARSED_OK ? HTTP_PARSED_MORE : checked;
}

// To the empty line that ends the head; *ret_len with it.
static enum http_parsed find_end(struct http_head *h, const uint8_t *data, size_t len,
                                 size_t *ret_len) {
    enum http_parsed parsed = HTTP_PARSED_MORE;
    size_t bound = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;
    while (parsed == HTTP_PARSED_MORE && h->looked < bound) {
        const uint8_t *lf = memchr(data + h->looked, '\n', bound - h->looked);
        h->looked = lf ? (size_t)(lf - data) + 1 : bound;
        if (!lf)
            break;
        parsed = take_line(h, data + h->line_at, h->looked - h->line_at);
        h->line_at = h->looked;
    }
    *ret_len = h->looked;
    if (parsed == HTTP_PARSED_MORE && h->lines == 0 && bound > HTTP_TARGET_MAX + 64)
        return http_parse_bad(h, HTTP_FAULT_TARGET_LONG);
    if (parsed == HTTP_PARSED_MORE && len >= HTTP_HEAD_MAX)
        return http_parse_bad(h, HTTP_FAULT_HEAD_LONG);
    return parsed;
}

// --- splitting

struct http_part {
    const char *at;
    size_t len;
};

struct parts { // what the parser makes of the head
    struct http_part target, names[HTTP_FIELDS_MAX], values[HTTP_FIELDS_MAX];
    unsigned name_count, value_count;
    bool is_complete;
};

static int on_target(http_parser *p, const char *at, size_t len) {
    struct parts *parts = p->data;
    parts->target = (struct http_part){at, len};
    return 0;
}

static int on_name(http_parser *p, const char *at, size_t len) {
    struct parts *parts = p->data;
    if (parts->name_count == HTTP_FIELDS_MAX)
        return -1;
    parts->names[parts->name_count++] = (struct http_part){at, len};
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t len) {
    struct parts *parts = p->data;
    if (parts->value_count == parts->name_count)
        return -1;
    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    parts->values[parts->value_count++] = (struct http_part){at, len};
    return 0;
}

static int on_complete(http_parser *p) {
    struct parts *parts = p->data;
    parts->is_complete = true;
    return 0;
}

static enum http_parsed http_parse_split(struct http_head *h, size_t len, struct parts *ret_parts) {
    static const http_parser_settings settings = {.on_url = on_target,
                                                  .on_header_field = on_name,
                                                  .on_header_value = on_value,
                                                  .on_headers_complete = on_complete};
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = ret_parts;
    (void)http_parser_execute(&parser, &settings, h->text, len);
    enum http_errno error = HTTP_PARSER_ERRNO(&parser);
    if (error == HPE_INVALID_METHOD)
        return http_parse_bad(h, HTTP_FAULT_METHOD);
    if (error == HPE_INVALID_CONTENT_LENGTH || error == HPE_UNEXPECTED_CONTENT_LENGTH)
        return http_parse_bad(h, HTTP_FAULT_LENGTH);
    if (error == HPE_INVALID_TRANSFER_ENCODING)
        return http_parse_bad(h, HTTP_FAULT_CODING);
    if (!ret_parts->is_complete || ret_parts->name_count + 1 != h->lines ||
        ret_parts->value_count != ret_parts->name_count)
        return http_parse_bad(h, HTTP_FAULT_SPLIT);
    h->method = http_method_str((enum http_method)parser.method);
    h->keeps_alive = parser.http_minor == 1;
    return HTTP_PARSED_OK;
}

// Of what is empty the parser says where it noticed: in the next line, which is not to be touched.
static const char *cut(struct http_head *h, struct http_part part) {
    if (part.len == 0)
        return "";
    char *text = h->text + (part.at - h->text);
    text[part.len] = '\0';
    return text;
}

// --- what it says

static enum http_parsed judge_target(struct http_head *h, struct http_part part) {
    const char *target = cut(h, part);
    bool is_url = strncasecmp(target, "http://", 7) == 0 || strncasecmp(target, "https://", 8) == 0;
    if (is_url) { // a proxy's form: the host is ours anyway
        target = strstr(target, "://") + 3;
        target += strcspn(target, "/?");
    } else if (strcmp(target, "*") != 0 || strcmp(h->method, "OPTIONS") != 0) {
        if (*target != '/')
            return http_parse_bad(h, HTTP_FAULT_TARGET);
    }
    char *query = strchr(target, '?');
    if (query)
        *query++ = '\0';
    h->path = *target ? target : "/";
    h->query = query ? query : "";
    return HTTP_PARSED_OK;
}

static enum http_field http_parse_field_number(const struct http_part *name) {
    int i = 0;
    while (i < HTTP_FIELD_COUNT && (strlen(field_names[i]) != name->len ||
                                    strncasecmp(field_names[i], name->at, name->len) != 0))
        i++;
    return (enum http_field)i;
}

static void judge_connection(struct http_head *h, const char *list) {
    for (; *list; list += strcspn(list, ","), list += *list == ',') {
        list += strspn(list, " \t");
        size_t len = strcspn(list, ", \t");
        if (len == 5 && strncasecmp(list, "close", 5) == 0)
            h->keeps_alive = false;
    }
}

static enum http_parsed judge_fields(struct http_head *h, const struct parts *parts) {
    for (unsigned i = 0; i < parts->name_count; i++) {
        enum http_field number = http_parse_field_number(&parts->names[i]);
        if (number == HTTP_FIELD_COUNT)
            continue;
        const char *value = cut(h, parts->values[i]);
        if (number == HTTP_FIELD_CONNECTION)
            judge_connection(h, value);
        else if (h->fields[number])
            return http_parse_bad(h, HTTP_FAULT_REPEATED);
        h->fields[number] = value;
    }
    return HTTP_PARSED_OK;
}

static enum http_parsed judge_host(struct http_head *h, bool is_http_1_1) {
    const char *host = h->fields[HTTP_FIELD_HOST];
    if (!host)
        return is_http_1_1 ? http_parse_bad(h, HTTP_FAULT_HOST_MISSING) : HTTP_PARSED_OK;
    for (const char *at = host; *at; at++)
        if (*at <= ' ' || *at >= 127 || strchr("\"#,/<>?@\\^`{|}", *at))
            return http_parse_bad(h, HTTP_FAULT_HOST);
    return HTTP_PARSED_OK;
}

// How long the body is: everything that could be read in two ways is refused.
static enum http_parsed judge_length(struct http_head *h, bool is_http_1_1) {
    const char *length = h->fields[HTTP_FIELD_CONTENT_LENGTH];
    const char *coding = h->fields[HTTP_FIELD_TRANSFER_ENCODING];
    if (length && coding)
        return http_parse_bad(h, HTTP_FAULT_LENGTH);
    if (coding && (!is_http_1_1 || strcasecmp(coding, "chunked") != 0))
        return http_parse_bad(h, HTTP_FAULT_CODING);
    h->is_chunked = coding != NULL;
    size_t digits = length ? strspn(length, "0123456789") : 0;
    if (length && (digits == 0 || digits > 18 || length[digits]))
        return http_parse_bad(h, HTTP_FAULT_LENGTH);
    h->content_length = length ? strtoull(length, NULL, 10) : 0;
    return HTTP_PARSED_OK;
}

static enum http_parsed judge_expect(struct http_head *h, bool is_http_1_1) {
    const char *expect = h->fields[HTTP_FIELD_EXPECT];
    if (!expect || !is_http_1_1) // 1.0 did not have it
        return HTTP_PARSED_OK;
    h->expects_continue = true;
    return strcasecmp(expect, "100-continue") == 0 ? HTTP_PARSED_OK
                                                   : http_parse_bad(h, HTTP_FAULT_EXPECT);
}

static enum http_parsed judge(struct http_head *h, const struct parts *parts) {
    bool is_http_1_1 = h->keeps_alive;
    enum http_parsed parsed = judge_target(h, parts->target);
    if (parsed == HTTP_PARSED_OK)
        parsed = judge_fields(h, parts);
    if (parsed == HTTP_PARSED_OK)
        parsed = judge_host(h, is_http_1_1);
    if (parsed == HTTP_PARSED_OK)
        parsed = judge_length(h, is_http_1_1);
    return parsed == HTTP_PARSED_OK ? judge_expect(h, is_http_1_1) : parsed;
}

enum http_parsed http_head_read(struct http_head *h, const uint8_t *data, size_t len,
                                size_t *ret_used) {
    size_t head_len = 0, skip = 0;
    assert(!h->text);
    // Some clients send an empty line after a body.
    if (len > 0 && data[0] == '\r') {
        if (len == 1)
            return HTTP_PARSED_MORE;
        skip = data[1] == '\n' ? 2 : 0;
    }
    enum http_parsed parsed = find_end(h, data + skip, len - skip, &head_len);
    if (parsed != HTTP_PARSED_OK)
        return parsed;
    struct parts parts = {.is_complete = false};
    h->text = hw_strndup((const char *)data + skip, head_len);
    parsed = http_parse_split(h, head_len, &parts);
    *ret_used = skip + head_len;
    return parsed == HTTP_PARSED_OK ? judge(h, &parts) : parsed;
}

void http_head_reset(struct http_head *h) {
    free(h->text);
    *h = (struct http_head){0};
}
